//! Parquet: the footer's and the pages' claims are checked before anything is decoded or allocated by them.
//!
//! Column types pass through unchanged. `INT96` becomes a timestamp in nanoseconds.

mod claims;
mod file;
mod footer;
mod group;
mod inspect;
mod read;
mod thrift;

pub(super) use self::inspect::inspect;
pub(super) use self::read::read;

use super::InputError;

fn invalid(reason: impl Into<String>) -> InputError {
    InputError::InvalidParquet { reason: reason.into() }
}

/// What a file whose bytes make the decoder panic is.
fn undecodable() -> InputError {
    invalid("its data can't be decoded")
}
