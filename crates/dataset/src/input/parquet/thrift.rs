//! As much of Thrift's compact protocol as it takes to look at claims before a decoder trusts them.
//!
//! The format: `github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md`.

use super::invalid;
use crate::input::InputError;
use crate::input::limits::MAX_ROW_GROUPS;

/// Nothing in Parquet's metadata nests deeper.
const MAX_DEPTH: usize = 24;

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
pub(super) const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
pub(super) const STRUCT: u8 = 12;

/// A field of a structure, before its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldHeader {
    pub(super) id: i64,
    pub(super) kind: u8,
}

/// Reads values from the front of a buffer.
pub(super) struct Thrift<'a>(&'a [u8]);

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next field of a structure, or its end. `previous` is the id of the field before, 0 at the start.
    pub(super) fn field(&mut self, previous: i64) -> Result<Option<FieldHeader>, InputError> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        let id = match byte >> 4 {
            0 => self.integer()?,
            delta => previous + i64::from(delta),
        };
        Ok(Some(FieldHeader { id, kind: byte & 0x0f }))
    }

    /// A list's element type and length. Every element takes a byte at least.
    pub(super) fn list(&mut self) -> Result<(u8, u64), InputError> {
        let byte = self.byte()?;
        let length = match byte >> 4 {
            15 => self.varint()?,
            length => u64::from(length),
        };
        let kind = byte & 0x0f;
        if length > self.0.len() as u64 {
            return Err(invalid("its footer claims a list that it doesn't have"));
        }
        if kind == STRUCT && length > MAX_ROW_GROUPS {
            return Err(InputError::ParquetLimit {
                what: "number of row groups or columns",
                code: "parquet_limit_row_groups",
                found: length,
                limit: MAX_ROW_GROUPS,
            });
        }
        Ok((kind, length))
    }

    pub(super) fn integer(&mut self) -> Result<i64, InputError> {
        let value = self.varint()?;
        // Zigzag: the lowest bit is the sign.
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(super) fn skip(&mut self, kind: u8) -> Result<(), InputError> {
        self.skip_nested(kind, 0)
    }

    fn skip_nested(&mut self, kind: u8, depth: usize) -> Result<(), InputError> {
        if depth > MAX_DEPTH {
            return Err(invalid("its metadata nests too deeply"));
        }
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.advance(1),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => self.advance(8),
            BINARY => {
                let length = self.varint()?;
                self.advance(length)
            }
            LIST | SET => {
                let (kind, length) = self.list()?;
                (0..length).try_for_each(|_| self.skip_element(kind, depth))
            }
            MAP => {
                let length = self.varint()?;
                let kinds = if length == 0 { 0 } else { self.byte()? };
                (0..length).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 0x0f, depth)
                })
            }
            STRUCT => {
                let mut id = 0;
                while let Some(field) = self.field(id)? {
                    id = field.id;
                    self.skip_nested(field.kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(invalid("its metadata has a value of an unknown type")),
        }
    }

    /// In a collection a boolean is a byte; in a structure it is part of the field's header.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Result<(), InputError> {
        match kind {
            TRUE | FALSE => self.advance(1),
            _ => self.skip_nested(kind, depth + 1),
        }
    }

    fn byte(&mut self) -> Result<u8, InputError> {
        let (byte, rest) = self.0.split_first().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(*byte)
    }

    fn varint(&mut self) -> Result<u64, InputError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(invalid("its metadata has a number that never ends"))
    }

    fn advance(&mut self, bytes: u64) -> Result<(), InputError> {
        let bytes = usize::try_from(bytes).map_err(|_| truncated())?;
        self.0 = self.0.get(bytes..).ok_or_else(truncated)?;
        Ok(())
    }
}

fn truncated() -> InputError {
    invalid("its metadata is cut off")
}
