//! What a footer or a page header claims, read without trusting it.

use super::invalid;
use super::thrift::{I32, LIST, STRUCT, Thrift};
use crate::input::InputError;
use crate::input::limits::{MAX_COLUMNS, MAX_SCHEMA_DEPTH};

/// Fields of the format's `FileMetaData`, `SchemaElement` and `PageHeader`.
const FILE_SCHEMA: i64 = 2;
const ELEMENT_CHILDREN: i64 = 5;
const PAGE_UNCOMPRESSED: i64 = 2;
const PAGE_COMPRESSED: i64 = 3;
const PAGE_DATA: i64 = 5;
const PAGE_DICTIONARY: i64 = 7;
const PAGE_DATA_V2: i64 = 8;

/// Walks a whole footer: lists have the elements that they claim, and the schema is neither too wide nor too deep.
pub(super) fn check_footer(footer: &[u8]) -> Result<(), InputError> {
    let mut thrift = Thrift::new(footer);
    let mut id = 0;
    while let Some(field) = thrift.field(id)? {
        id = field.id;
        if (field.id, field.kind) == (FILE_SCHEMA, LIST) {
            check_schema(&mut thrift)?;
        } else {
            thrift.skip(field.kind)?;
        }
    }
    Ok(())
}

/// The schema is a list in depth-first order, each element saying how many children follow.
fn check_schema(thrift: &mut Thrift<'_>) -> Result<(), InputError> {
    let (kind, length) = thrift.list()?;
    if kind != STRUCT {
        return Err(invalid("its schema is no list of columns"));
    }
    // Groups count too: a list of text is three elements.
    let most = 4 * MAX_COLUMNS;
    if length > most as u64 {
        return Err(InputError::TooManyColumns {
            found: usize::try_from(length).unwrap_or(usize::MAX),
            limit: MAX_COLUMNS,
        });
    }
    let mut open: Vec<i64> = Vec::new();
    for _ in 0..length {
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(rest) = open.last_mut() {
            *rest -= 1;
        }
        let children = element_children(thrift)?;
        if children > 0 {
            open.push(children);
        }
        if open.len() > MAX_SCHEMA_DEPTH {
            return Err(InputError::UnsupportedSchema {
                reason: format!("it nests deeper than {MAX_SCHEMA_DEPTH} levels"),
            });
        }
    }
    Ok(())
}

fn element_children(thrift: &mut Thrift<'_>) -> Result<i64, InputError> {
    let mut children = 0;
    let mut id = 0;
    while let Some(field) = thrift.field(id)? {
        id = field.id;
        if (field.id, field.kind) == (ELEMENT_CHILDREN, I32) {
            children = thrift.integer()?;
        } else {
            thrift.skip(field.kind)?;
        }
    }
    Ok(children)
}

/// Sizes that a page header claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PageClaims {
    pub(super) uncompressed: u64,
    pub(super) compressed: u64,
    pub(super) values: u64,
    pub(super) is_dictionary: bool,
}

/// Reads the claims from a page header's first bytes. What comes after them, statistics among it, is not looked at.
pub(super) fn page_claims(header: &[u8]) -> Result<PageClaims, InputError> {
    let mut thrift = Thrift::new(header);
    let mut claims = PageClaims::default();
    let mut id = 0;
    while let Some(field) = thrift.field(id)? {
        id = field.id;
        match (field.id, field.kind) {
            (PAGE_UNCOMPRESSED, I32) => claims.uncompressed = size(&mut thrift)?,
            (PAGE_COMPRESSED, I32) => claims.compressed = size(&mut thrift)?,
            (PAGE_DATA | PAGE_DICTIONARY | PAGE_DATA_V2, STRUCT) => {
                claims.is_dictionary = field.id == PAGE_DICTIONARY;
                // The number of values is the first field of each.
                if thrift.field(0)?.is_some_and(|first| (first.id, first.kind) == (1, I32)) {
                    claims.values = size(&mut thrift)?;
                    return Ok(claims);
                }
                return Err(invalid("a page header has no number of values"));
            }
            (_, kind) => thrift.skip(kind)?,
        }
    }
    Ok(claims)
}

fn size(thrift: &mut Thrift<'_>) -> Result<u64, InputError> {
    u64::try_from(thrift.integer()?).map_err(|_| invalid("a page header has a negative size"))
}
