//! Lines of JSON objects: values keep their text until somebody needs more.

mod columns;
mod object;
mod value;

pub use self::columns::ColumnTypes;
pub(crate) use self::columns::{Form, project};
pub(crate) use self::object::{check, entries};
pub(crate) use self::value::cell;
