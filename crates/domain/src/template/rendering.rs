//! What one rendering sees and may still use.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use minijinja::value::{DynObject, Enumerator, Object, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use super::limits::{NODE_BYTES, WORK_BYTES};
use super::{Columns, text};
use crate::row::Row;

/// Filters find the rendering under this name, which no template and no column reference can spell.
const RENDERING: &str = " rendering";

/// The root of a template's variables: its columns and `row`. Cells are fetched and converted when first asked for.
#[derive(Debug)]
pub(super) struct Rendering {
    row: Arc<dyn Row>,
    columns: Columns,
    /// The columns that the template names, ascending, each with its cell once fetched.
    used: Arc<[usize]>,
    cells: Box<[OnceLock<Value>]>,
    /// Bytes that operators and filters may still read and build.
    work: AtomicUsize,
    exceeded: OnceLock<&'static str>,
}

impl Rendering {
    pub(super) fn new(row: &Arc<dyn Row>, columns: &Columns, used: &Arc<[usize]>) -> Arc<Self> {
        Arc::new(Self {
            row: Arc::clone(row),
            columns: columns.clone(),
            used: Arc::clone(used),
            cells: used.iter().map(|_| OnceLock::new()).collect(),
            work: AtomicUsize::new(WORK_BYTES),
            exceeded: OnceLock::new(),
        })
    }

    pub(super) fn of(state: &State) -> Result<Arc<Self>, Error> {
        state
            .lookup(RENDERING)
            .and_then(|value| value.downcast_object())
            .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "there is no row"))
    }

    /// The limit that stopped the rendering, if one did.
    pub(super) fn exceeded(&self) -> Option<&'static str> {
        self.exceeded.get().copied()
    }

    /// Takes work before it is done.
    pub(super) fn take(&self, bytes: usize) -> Result<(), Error> {
        // One rendering runs on one thread; the atomic is there for the engine's `Sync` bound only.
        let left = self.work.load(Ordering::Relaxed).checked_sub(bytes).ok_or_else(|| self.exceed("work"))?;
        self.work.store(left, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the work of reading a value to its end.
    pub(super) fn take_value(&self, value: &Value) -> Result<(), Error> {
        if let Some(text) = value.as_str() {
            return self.take(text.len());
        }
        self.take(NODE_BYTES)?;
        let is_object = value.kind() == ValueKind::Map;
        if value.as_object().is_some() {
            for item in value.try_iter()? {
                if is_object {
                    self.take_value(&value.get_item(&item)?)?;
                }
                self.take(NODE_BYTES)?;
                self.take_value(&item)?;
            }
        }
        Ok(())
    }

    /// A value as prompts show it, its reading taken.
    pub(super) fn text(&self, value: &Value) -> Result<Arc<str>, Error> {
        self.take_value(value)?;
        if let Some(text) = value.to_str() {
            return Ok(text);
        }
        let mut written = String::new();
        text::write(&mut text::Bounded::new(&mut written, self.work.load(Ordering::Relaxed)), value)
            .map_err(|_| self.exceed("work"))?;
        self.take(written.len())?;
        Ok(written.into())
    }

    /// A value as JSON text, its reading taken.
    pub(super) fn json(&self, value: &Value, indent: Option<usize>) -> Result<Value, Error> {
        self.take_value(value)?;
        let mut written = String::new();
        text::write_json(&mut text::Bounded::new(&mut written, self.work.load(Ordering::Relaxed)), value, indent)
            .map_err(|_| self.exceed("work"))?;
        self.take(written.len())?;
        Ok(Value::from(written))
    }

    fn exceed(&self, what: &'static str) -> Error {
        let what = self.exceeded.get_or_init(|| what);
        Error::new(ErrorKind::InvalidOperation, format!("too much {what}"))
    }

    fn column(&self, name: &str) -> Option<Value> {
        let column = self.columns.position(name)?;
        let Ok(slot) = self.used.binary_search(&column) else {
            return Some(self.fetch(column));
        };
        Some(self.cells[slot].get_or_init(|| self.fetch(column)).clone())
    }

    fn fetch(&self, column: usize) -> Value {
        text::from_cell(self.row.cell(column)).unwrap_or_else(|| Value::from(self.exceed("nesting in a cell")))
    }
}

impl Object for Rendering {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "row" => Some(Value::from_object(RowObject(Arc::clone(self)))),
            RENDERING => Some(Value::from_dyn_object(DynObject::new(Arc::clone(self)))),
            column => self.column(column),
        }
    }
}

/// `row`: an object whose keys are the columns.
#[derive(Debug)]
struct RowObject(Arc<Rendering>);

impl Object for RowObject {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.column(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.column(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.columns.names().iter().map(|name| Value::from(Arc::clone(name))).collect())
    }
}

/// Collects text whose every piece is taken before it is appended.
pub(super) struct Builder<'rendering> {
    rendering: &'rendering Rendering,
    text: String,
}

impl<'rendering> Builder<'rendering> {
    pub(super) fn new(rendering: &'rendering Rendering) -> Self {
        Self { rendering, text: String::new() }
    }

    pub(super) fn push(&mut self, piece: &str) -> Result<(), Error> {
        self.rendering.take(piece.len())?;
        self.text.push_str(piece);
        Ok(())
    }

    pub(super) fn push_char(&mut self, piece: impl std::fmt::Display) -> Result<(), Error> {
        let before = self.text.len();
        write!(self.text, "{piece}").map_err(Error::from)?;
        self.rendering.take(self.text.len() - before)
    }

    pub(super) fn finish(self) -> Value {
        Value::from(self.text)
    }
}
