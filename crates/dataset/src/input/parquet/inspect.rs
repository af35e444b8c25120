//! A Parquet file's columns.

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::footer;
use crate::input::schema::check_names;
use crate::input::{InputError, InputSchema, Layout, Pinned};
use crate::parquet_bytes::{encode, properties};
use crate::stores::Location;

pub(in crate::input) async fn inspect(location: &Location, pinned: &Pinned) -> Result<InputSchema, InputError> {
    let metadata = footer::load(location, pinned).await?;
    let columns = metadata.schema().clone();
    check_names(columns.fields().iter().map(|field| field.name().as_str())).map_err(unsupported_name)?;
    check_writable(&columns)?;
    let rows = footer::count(metadata.metadata().file_metadata().num_rows())?;
    if rows == 0 {
        return Err(InputError::Empty);
    }
    Ok(InputSchema { columns, layout: Layout::Parquet { rows } })
}

/// The codes for names are CSV's.
fn unsupported_name(error: InputError) -> InputError {
    match error {
        InputError::DuplicateHeader { .. } | InputError::EmptyHeader { .. } => {
            InputError::UnsupportedSchema { reason: error.to_string() }
        }
        other => other,
    }
}

/// Chunks are Parquet too, so a type that can be read and not written is known now and not after planning.
fn check_writable(columns: &std::sync::Arc<Schema>) -> Result<(), InputError> {
    match encode(&RecordBatch::new_empty(columns.clone()), properties().build()) {
        Ok(_) if !columns.fields().is_empty() => Ok(()),
        Ok(_) => Err(InputError::UnsupportedSchema { reason: "it has no columns".into() }),
        Err(error) => {
            Err(InputError::UnsupportedSchema { reason: format!("a column's type can't be written again ({error:?})") })
        }
    }
}
