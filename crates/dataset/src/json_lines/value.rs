//! One value: as templates see it, and as text.

use std::fmt;
use std::sync::Arc;

use domain::row::Cell;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The value for templates. A number that no cell holds exactly, because it is an integer of more than 64 bits or beyond
/// every double, is its text.
pub(crate) fn cell(value: &RawValue) -> serde_json::Result<Cell> {
    match number(value.get()) {
        Some(number) => Ok(number),
        None => serde_json::from_str::<Value>(value.get()).map(|value| value.0),
    }
}

/// `None` if the value is no number.
pub(super) fn number(text: &str) -> Option<Cell> {
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    let as_text = || Cell::Text(text.into());
    if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        let value = text.parse().ok().filter(|value: &f64| value.is_finite());
        return Some(value.map_or_else(as_text, Cell::Float));
    }
    let small = text.parse().map(Cell::Int);
    Some(small.or_else(|_| text.parse().map(Cell::UInt)).unwrap_or_else(|_| as_text()))
}

pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Appends the text: nothing for null, a string's own, and everything else as it stands.
pub(super) fn write_text(value: &RawValue, out: &mut String) -> serde_json::Result<()> {
    if value.get().starts_with('"') {
        out.push_str(&serde_json::from_str::<Text<'_>>(value.get())?.0);
    } else if !is_null(value) {
        out.push_str(value.get());
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

struct Value(Cell);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Value)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(Cell::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Cell, E> {
        Ok(Cell::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Cell, E> {
        Ok(Cell::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Cell, E> {
        Ok(i64::try_from(value).map_or(Cell::UInt(value), Cell::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Cell, E> {
        Ok(Cell::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
        Ok(Cell::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Cell, A::Error> {
        let mut values = Vec::new();
        while let Some(Value(value)) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Cell::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        let mut entries: Vec<(Arc<str>, Cell)> = Vec::new();
        while let Some(name) = map.next_key::<Arc<str>>()? {
            let Value(value) = map.next_value()?;
            entries.push((name, value));
        }
        Ok(Cell::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn numbers_are_exact_or_text() {
        let text = |text: &str| Cell::Text(text.into());
        for (json, expected) in [
            ("0", Cell::Int(0)),
            ("-9223372036854775808", Cell::Int(i64::MIN)),
            ("18446744073709551615", Cell::UInt(u64::MAX)),
            ("18446744073709551616", text("18446744073709551616")),
            ("-9223372036854775809", text("-9223372036854775809")),
            ("1.5e3", Cell::Float(1500.0)),
            ("1e999", text("1e999")),
        ] {
            assert_eq!(cell(&raw(json)).expect("a value"), expected, "{json}");
        }
    }

    #[test]
    fn values_nest() {
        let value = cell(&raw(r#"{"a": [1, null, "x\u0000", true], "b": {}}"#)).expect("a value");
        let list = Cell::List(vec![Cell::Int(1), Cell::Null, Cell::Text("x\0".into()), Cell::Bool(true)]);
        assert_eq!(value, Cell::Object(vec![("a".into(), list), ("b".into(), Cell::Object(Vec::new()))]));
    }

    #[test]
    fn texts_are_those_of_the_file() {
        for (json, expected) in
            [("null", ""), (r#""a\n\"b""#, "a\n\"b"), ("1.50", "1.50"), ("[1,  2]", "[1,  2]"), ("true", "true")]
        {
            let mut out = String::new();
            write_text(&raw(json), &mut out).expect("text");
            assert_eq!(out, expected);
        }
    }
}
