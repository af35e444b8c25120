//! Rows for the template tests.

use std::sync::Arc;

use domain::row::{Cell, Row};
use domain::template::{Columns, RenderError, Template, TemplateError};

pub const MAX_BYTES: usize = 1 << 20;

#[derive(Debug)]
struct Cells(Vec<Cell>);

impl Row for Cells {
    fn cell(&self, column: usize) -> Cell {
        self.0.get(column).cloned().unwrap_or(Cell::Null)
    }
}

/// Columns with the cells of one row.
pub struct Table {
    pub columns: Columns,
    pub row: Arc<dyn Row>,
}

impl Table {
    pub fn new(cells: impl IntoIterator<Item = (&'static str, Cell)>) -> Self {
        let (names, cells): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
        Self { columns: Columns::new(names), row: Arc::new(Cells(cells)) }
    }

    pub fn compile(&self, source: &str) -> Result<Template, TemplateError> {
        Template::compile(source, &self.columns)
    }

    pub fn render(&self, source: &str) -> Result<String, RenderError> {
        let template = self.compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let mut out = String::new();
        template.render(&self.row, MAX_BYTES, &mut out).map(|()| out)
    }

    /// The code of whatever stops a template, at either time.
    pub fn code(&self, source: &str) -> Option<&'static str> {
        match self.compile(source) {
            Err(error) => Some(error.code()),
            Ok(template) => template.render(&self.row, MAX_BYTES, &mut String::new()).err().map(|error| error.code()),
        }
    }
}

pub fn text(text: impl Into<Arc<str>>) -> Cell {
    Cell::Text(text.into())
}

pub fn list(cells: impl IntoIterator<Item = Cell>) -> Cell {
    Cell::List(cells.into_iter().collect())
}

pub fn object<Name: Into<Arc<str>>>(fields: impl IntoIterator<Item = (Name, Cell)>) -> Cell {
    Cell::Object(fields.into_iter().map(|(name, cell)| (name.into(), cell)).collect())
}
