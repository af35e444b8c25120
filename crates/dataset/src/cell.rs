//! One value of a column, as templates see it and as CSV shows it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::row::Cell;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

/// The value at `index`.
///
/// Numbers, booleans and text are themselves. Timestamps are RFC 3339: in UTC where the column has a zone, without
/// an offset where it has none. Dates, times, durations and decimals are their usual text. Bytes are text where they
/// are UTF-8, hexadecimal otherwise. Lists, structs and maps nest; a map's keys become text.
pub(crate) fn cell(array: &dyn Array, index: usize) -> Cell {
    if array.is_null(index) {
        return Cell::Null;
    }
    macro_rules! int {
        ($type:ty) => {
            Cell::Int(i64::from(array.as_primitive::<$type>().value(index)))
        };
    }
    match array.data_type() {
        DataType::Null => Cell::Null,
        DataType::Boolean => Cell::Bool(array.as_boolean().value(index)),
        DataType::Int8 => int!(Int8Type),
        DataType::Int16 => int!(Int16Type),
        DataType::Int32 => int!(Int32Type),
        DataType::Int64 => int!(Int64Type),
        DataType::UInt8 => int!(UInt8Type),
        DataType::UInt16 => int!(UInt16Type),
        DataType::UInt32 => int!(UInt32Type),
        DataType::UInt64 => {
            let value = array.as_primitive::<UInt64Type>().value(index);
            i64::try_from(value).map_or(Cell::UInt(value), Cell::Int)
        }
        DataType::Float16 => Cell::Float(widen(array.as_primitive::<Float16Type>().value(index).to_f32())),
        DataType::Float32 => Cell::Float(widen(array.as_primitive::<Float32Type>().value(index))),
        DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(index)),
        DataType::Timestamp(unit, zone) => text(timestamp(array, index, *unit, zone.is_some())),
        DataType::List(_) => list(&array.as_list::<i32>().value(index)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(index)),
        DataType::ListView(_) => list(&array.as_list_view::<i32>().value(index)),
        DataType::LargeListView(_) => list(&array.as_list_view::<i64>().value(index)),
        DataType::FixedSizeList(_, _) => list(&array.as_fixed_size_list().value(index)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            Cell::Object(
                fields
                    .iter()
                    .zip(columns)
                    .map(|(field, column)| (field.name().as_str().into(), cell(column, index)))
                    .collect(),
            )
        }
        DataType::Map(_, _) => map(&array.as_map().value(index)),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let key = cell(dictionary.keys(), index);
            match key {
                Cell::Int(key) => usize::try_from(key).map_or(Cell::Null, |key| cell(dictionary.values(), key)),
                _ => Cell::Null,
            }
        }
        _ => match bytes(array, index) {
            Some(bytes) => bytes_cell(bytes),
            None => text(display(array, index)),
        },
    }
}

/// What CSV shows: nothing for null, JSON for what nests, and the value's text otherwise.
pub(crate) fn write_text(array: &dyn Array, index: usize, out: &mut Vec<u8>) {
    if array.is_null(index) {
        return;
    }
    if let Some(bytes) = bytes(array, index)
        && std::str::from_utf8(bytes).is_ok()
    {
        return out.extend_from_slice(bytes);
    }
    match cell(array, index) {
        Cell::Null => {}
        Cell::Text(text) => out.extend_from_slice(text.as_bytes()),
        Cell::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Cell::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Cell::UInt(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Cell::Float(value) => out.extend_from_slice(float(value).as_bytes()),
        nested @ (Cell::List(_) | Cell::Object(_)) => {
            serde_json::to_writer(out, &Json(&nested)).expect("cells have text keys, and a vector takes all bytes");
        }
    }
}

/// What JSON shows: numbers that JSON hasn't are null, and what has no JSON type is its text.
pub(crate) fn write_json(array: &dyn Array, index: usize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &Json(&cell(array, index))).expect("cells have text keys, and a vector takes all bytes");
}

/// The bytes of a text or binary value.
fn bytes(array: &dyn Array, index: usize) -> Option<&[u8]> {
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(index).as_bytes()),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(index).as_bytes()),
        DataType::Utf8View => Some(array.as_string_view().value(index).as_bytes()),
        DataType::Binary => Some(array.as_binary::<i32>().value(index)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(index)),
        DataType::BinaryView => Some(array.as_binary_view().value(index)),
        DataType::FixedSizeBinary(_) => Some(array.as_fixed_size_binary().value(index)),
        _ => None,
    }
}

fn bytes_cell(bytes: &[u8]) -> Cell {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cell::Text(text.into()),
        Err(_) => text(hexadecimal(bytes)),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).expect("a nibble is below 16");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

fn text(text: String) -> Cell {
    Cell::Text(text.into())
}

/// The double that has the float's own shortest text: 0.1 stays 0.1.
fn widen(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// The shortest text that reads back as the same number.
fn float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || !magnitude.is_finite() || (1e-5..1e16).contains(&magnitude) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

fn timestamp(array: &dyn Array, index: usize, unit: TimeUnit, zoned: bool) -> String {
    let (value, time) = match unit {
        TimeUnit::Second => {
            let value = array.as_primitive::<TimestampSecondType>().value(index);
            (value, DateTime::from_timestamp(value, 0))
        }
        TimeUnit::Millisecond => {
            let value = array.as_primitive::<TimestampMillisecondType>().value(index);
            (value, DateTime::from_timestamp_millis(value))
        }
        TimeUnit::Microsecond => {
            let value = array.as_primitive::<TimestampMicrosecondType>().value(index);
            (value, DateTime::from_timestamp_micros(value))
        }
        TimeUnit::Nanosecond => {
            let value = array.as_primitive::<TimestampNanosecondType>().value(index);
            (value, Some(DateTime::from_timestamp_nanos(value)))
        }
    };
    match time {
        // Outside of the years that have a text form.
        None => value.to_string(),
        Some(time) if zoned => rfc3339(time),
        Some(time) => rfc3339(time).trim_end_matches('Z').to_owned(),
    }
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn display(array: &dyn Array, index: usize) -> String {
    let options = FormatOptions::default();
    ArrayFormatter::try_new(array, &options).map(|formatter| formatter.value(index).to_string()).unwrap_or_default()
}

fn list(values: &ArrayRef) -> Cell {
    Cell::List((0..values.len()).map(|index| cell(values, index)).collect())
}

fn map(entries: &arrow::array::StructArray) -> Cell {
    let (keys, values) = (entries.column(0), entries.column(1));
    let mut name = Vec::new();
    let mut entry = |index| {
        name.clear();
        write_text(keys, index, &mut name);
        (Arc::from(String::from_utf8_lossy(&name)), cell(values, index))
    };
    Cell::Object((0..entries.len()).map(&mut entry).collect())
}

/// A cell as JSON. Numbers that JSON hasn't become null.
struct Json<'a>(&'a Cell);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Cell::Null => serializer.serialize_unit(),
            Cell::Bool(value) => serializer.serialize_bool(*value),
            Cell::Int(value) => serializer.serialize_i64(*value),
            Cell::UInt(value) => serializer.serialize_u64(*value),
            Cell::Float(value) => serializer.serialize_f64(*value),
            Cell::Text(value) => serializer.serialize_str(value),
            Cell::List(values) => {
                let mut sequence = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    sequence.serialize_element(&Json(value))?;
                }
                sequence.end()
            }
            Cell::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (name, value) in entries {
                    map.serialize_entry(&**name, &Json(value))?;
                }
                map.end()
            }
        }
    }
}
