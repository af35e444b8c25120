//! JSON Lines: an object a line. A row is kept as its line; its columns are told apart only where somebody needs them.

mod header;
mod read;
mod records;

pub(super) use self::header::inspect;
pub(super) use self::read::read;
