//! An input row as templates see it, whatever file it came from.

use std::fmt;
use std::sync::Arc;

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    /// Only for integers above `i64::MAX`.
    UInt(u64),
    Float(f64),
    /// Text, and everything that has no JSON type of its own (decimals, timestamps) in its text form.
    Text(Arc<str>),
    List(Vec<Cell>),
    Object(Vec<(Arc<str>, Cell)>),
}

/// A row whose cells are numbered like its file's columns.
pub trait Row: fmt::Debug + Send + Sync + 'static {
    /// The cell in a column, from 0. A column past the end is null (a ragged row keeps the cells that it has).
    fn cell(&self, column: usize) -> Cell;
}
