//! From cells to values, and from values to text.

use std::fmt;
use std::io;

use minijinja::value::{Value, ValueKind};
use serde::Serialize as _;

use super::limits::CELL_DEPTH;
use crate::row::Cell;

/// `None` where lists and objects are nested deeper than [`CELL_DEPTH`].
pub(super) fn from_cell(cell: Cell) -> Option<Value> {
    convert(cell, CELL_DEPTH)
}

fn convert(cell: Cell, depth: usize) -> Option<Value> {
    Some(match cell {
        Cell::Null => Value::from(()),
        Cell::Bool(value) => Value::from(value),
        Cell::Int(value) => Value::from(value),
        Cell::UInt(value) => Value::from(value),
        Cell::Float(value) => Value::from(value),
        Cell::Text(text) => Value::from(text),
        Cell::List(cells) => {
            let depth = depth.checked_sub(1)?;
            Value::from(cells.into_iter().map(|cell| convert(cell, depth)).collect::<Option<Vec<_>>>()?)
        }
        Cell::Object(fields) => {
            let depth = depth.checked_sub(1)?;
            let fields = fields.into_iter().map(|(name, cell)| Some((Value::from(name), convert(cell, depth)?)));
            Value::from_pairs(fields.collect::<Option<Vec<_>>>()?)
        }
    })
}

/// Writes a value as prompts show it: nothing for null, text as it is, numbers and booleans as in JSON (`1.0`, `true`),
/// lists and objects as JSON. Floats that JSON doesn't have are `NaN`, `inf` and `-inf`.
pub(super) fn write(out: &mut dyn fmt::Write, value: &Value) -> fmt::Result {
    if let Some(text) = value.as_str() {
        return out.write_str(text);
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(()),
        ValueKind::Number if value.is_integer() || !f64::try_from(value.clone()).is_ok_and(f64::is_finite) => {
            write!(out, "{value}")
        }
        _ => write_json(out, value, None),
    }
}

/// Writes a value as JSON, on one line or with `indent` spaces a level.
pub(super) fn write_json(out: &mut dyn fmt::Write, value: &Value, indent: Option<usize>) -> fmt::Result {
    let written = if let Some(indent) = indent {
        let spaces = " ".repeat(indent);
        let formatter = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
        value.serialize(&mut serde_json::Serializer::with_formatter(Utf8(out), formatter))
    } else {
        serde_json::to_writer(Utf8(out), value)
    };
    written.map_err(|_| fmt::Error)
}

/// Hands bytes on as text. Both engines write whole pieces of text.
struct Utf8<'out>(&'out mut dyn fmt::Write);

impl io::Write for Utf8<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.write_str(text).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends to a string up to a limit; what doesn't fit is refused and remembered.
pub(super) struct Bounded<'out> {
    out: &'out mut String,
    room: usize,
    pub(super) full: bool,
}

impl<'out> Bounded<'out> {
    pub(super) fn new(out: &'out mut String, max_bytes: usize) -> Self {
        Self { out, room: max_bytes, full: false }
    }
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some(room) = self.room.checked_sub(text.len()) else {
            self.full = true;
            return Err(fmt::Error);
        };
        self.room = room;
        self.out.push_str(text);
        Ok(())
    }
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Utf8(self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
