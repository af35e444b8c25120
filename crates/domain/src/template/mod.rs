//! Prompt templates: Jinja syntax, compiled once against an input's columns, rendered for each row.
//!
//! A column is `{{ body }}` where its name is an identifier, and always `{{ row["Major Genre"] }}`; `{{ row }}` is the whole
//! row as JSON. There are `if`, `for` over the lists of a row, `loop.index` and its like, comparisons, slices, tests, inline
//! `if`, comments, raw blocks, whitespace control, and these filters: `abs`, `capitalize`, `default` (`d`), `first`, `float`,
//! `int`, `items`, `join`, `last`, `length`, `lines`, `list`, `lower`, `replace`, `reverse`, `round`, `sort`, `split`, `string`,
//! `title`, `tojson`, `trim`, `truncate`, `unique`, `upper`.
//!
//! Null is empty text; numbers and booleans read as in JSON (`7`, `1.0`, `true`); lists and objects that are printed whole are
//! JSON. An absent field of an object is null. A template's text is kept to its last newline. Cells are data: what they
//! contain is never read as a template.
//!
//! Templates come from tenants, so growth is impossible by construction:
//! 1. `tokens` bounds how deep a template is before anything recurses over it;
//! 2. `check` lets pass only what is known to be bounded: no `set`, macros, includes, calls, `~`, or `+` and `*` on text;
//! 3. filters and, through `guard`, operators take the bytes that they read and build from a budget, before they do;
//! 4. the engine counts its instructions, and output goes through a writer with a limit.

mod check;
mod columns;
mod engine;
mod error;
mod filters;
mod guard;
mod jinja_tests;
mod limits;
mod plain;
mod rendering;
mod text;
mod tokens;

use std::sync::Arc;

use minijinja::machinery;

pub use self::columns::Columns;
pub use self::error::{Position, RenderError, TemplateError};

use self::check::Checker;
use self::engine::Engine;
use self::plain::Segment;
use self::rendering::Rendering;
use crate::row::Row;

/// A compiled template. Cheap to clone, and rendered by many threads at once.
#[derive(Debug, Clone)]
pub struct Template(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    columns: Columns,
    used: Arc<[usize]>,
    program: Program,
}

#[derive(Debug)]
enum Program {
    /// Text and columns only, as most templates are: rendered without the engine.
    Plain(Vec<Segment>),
    Engine(Box<Engine>),
}

impl Template {
    /// Checks and compiles a template.
    ///
    /// # Errors
    /// The first problem, with its place.
    pub fn compile(source: &str, columns: &Columns) -> Result<Self, TemplateError> {
        if source.len() > limits::SOURCE_BYTES {
            return Err(TemplateError::TooLarge { what: "bytes", limit: limits::SOURCE_BYTES });
        }
        tokens::check(source, &engine::SYNTAX)?;
        let tree = machinery::parse(source, "prompt", engine::SYNTAX.clone())
            .map_err(|error| tokens::syntax_error(source, &error))?;
        let mut checker = Checker::new(source, columns);
        checker.statements(std::slice::from_ref(&tree))?;
        let program = match plain::segments(&tree, columns) {
            Some(segments) => Program::Plain(segments),
            None => Program::Engine(Box::new(
                Engine::compile(guard::insert(source, &checker.meters))
                    .map_err(|error| tokens::syntax_error(source, &error))?,
            )),
        };
        let used = checker.used.into_iter().collect();
        Ok(Self(Arc::new(Compiled { columns: columns.clone(), used, program })))
    }

    /// The columns that the template reads, ascending. A computed name (`row[x]`) counts as all.
    pub fn columns(&self) -> &[usize] {
        &self.0.used
    }

    /// Appends the rendered text to `out`, which is left as it was on an error.
    ///
    /// # Errors
    /// The text would be larger than `max_bytes`, the template takes too much work for this row, or an operator or filter
    /// met a value that it can't work on.
    pub fn render(&self, row: &Arc<dyn Row>, max_bytes: usize, out: &mut String) -> Result<(), RenderError> {
        let before = out.len();
        let rendered = match &self.0.program {
            Program::Plain(segments) => plain::render(segments, row.as_ref(), max_bytes, out),
            Program::Engine(engine) => {
                engine.render(&Rendering::new(row, &self.0.columns, &self.0.used), max_bytes, out)
            }
        };
        rendered.inspect_err(|_| out.truncate(before))
    }
}
