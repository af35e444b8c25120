//! CSV: RFC 4180 with any line ends. Cells stay the text that they are; an empty cell is an empty text, not a null.

mod header;
mod read;
mod records;

pub(super) use self::header::inspect;
pub(super) use self::read::read;
