//! JSON that can be read in one way only: no name twice in an object, nothing after the end.

use std::fmt;

use axum::http::StatusCode;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::problem::Problem;

/// # Errors
/// 400 `invalid_json` with line and column; 422 `invalid_string` for half of a surrogate pair.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    match serde_json::from_slice::<Strict>(bytes) {
        Ok(Strict(value)) => Ok(value),
        Err(error) if is_surrogate(&error) => {
            Err(Problem::field("", "invalid_string", format!("a string has half of a surrogate pair: {error}")))
        }
        Err(error) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_json", format!("the body is not valid JSON: {error}")))
        }
    }
}

/// The parser has no other sign of it than these words.
fn is_surrogate(error: &serde_json::Error) -> bool {
    let message = error.to_string();
    ["lone leading surrogate", "unexpected end of hex escape"].iter().any(|words| message.starts_with(words))
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, Strict(value))) = object.next_entry::<String, Strict>()? {
            if fields.contains_key(&name) {
                return Err(de::Error::custom(format!("the name {name:?} stands twice in an object")));
            }
            fields.insert(name, value);
        }
        Ok(fields.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:?}", parse(text.as_bytes()).expect_err(text))
    }

    #[test]
    fn b1_malformed_doubled_and_trailing_are_told_with_their_place() {
        for (text, place) in [
            ("{\"a\": }", "line 1 column 7"),
            ("{} x", "line 1 column 4"),
            ("{\"a\":1,\n\"a\":2}", "line 2"),
            ("", "line 1"),
        ] {
            let error = error(text);
            assert!(error.contains("invalid_json") && error.contains(place), "{error}");
        }
        assert!(error(r#"{"x":{"a":1,"a":2}}"#).contains("stands twice"));
    }

    #[test]
    fn b6_deep_nesting_and_huge_numbers_are_refused() {
        assert!(error(&"[".repeat(10_000)).contains("invalid_json"));
        assert!(error("[1e999]").contains("invalid_json"));
    }

    #[test]
    fn b26_half_a_surrogate_pair_is_no_string() {
        for text in [r#"["\ud800"]"#, r#"["\udc00"]"#, r#"["\ud800\u0041"]"#] {
            assert!(error(text).contains("invalid_string"), "{}", error(text));
        }
        assert_eq!(parse(r#"["\ud83d\ude00"]"#.as_bytes()).expect("a pair"), serde_json::json!(["😀"]));
    }

    #[test]
    fn values_are_kept_as_they_are() {
        let text = r#"{"b":[1,-2,1.5,true,null],"a":"x"}"#;
        assert_eq!(parse(text.as_bytes()).expect("valid").to_string(), text);
    }
}
