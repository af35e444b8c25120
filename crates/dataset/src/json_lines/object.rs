//! One line: an object, taken apart without a copy.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use domain::outcome::ItemError;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::value::cell;

/// The names and values of an object, in order. Names may stand twice.
pub(crate) fn entries(text: &str) -> serde_json::Result<Vec<(Cow<'_, str>, &RawValue)>> {
    serde_json::from_str::<Entries<'_>>(text).map(|entries| entries.0)
}

/// Checks all of a line: an object with unique names, whose values can be read.
///
/// # Errors
/// `invalid_json`, with the place: `line` is the line's number in its file, from 1.
pub(crate) fn check(text: &str, line: u64) -> Result<Vec<(Cow<'_, str>, &RawValue)>, ItemError> {
    let invalid = |offset: usize, error: &serde_json::Error| {
        let reason = error.to_string();
        let reason = reason.rsplit_once(" at line ").map_or(&*reason, |(reason, _)| reason);
        refuse(line, offset + error.column(), reason)
    };
    let entries = entries(text).map_err(|error| invalid(0, &error))?;
    let mut names = HashSet::with_capacity(entries.len());
    for (name, value) in &entries {
        let offset = value.get().as_ptr().addr() - text.as_ptr().addr();
        if !names.insert(&**name) {
            return Err(refuse(line, offset + 1, &format!("the name `{name}` stands twice")));
        }
        cell(value).map_err(|error| invalid(offset, &error))?;
    }
    drop(names);
    Ok(entries)
}

fn refuse(line: u64, column: usize, reason: &str) -> ItemError {
    ItemError::new("invalid_json", format!("line {line}, column {column}: {reason}"))
}

struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            entries.push((name, map.next_value()?));
        }
        Ok(Entries(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = check(text, 7).expect_err("a refusal");
        assert_eq!(error.code, "invalid_json");
        error.message
    }

    #[test]
    fn values_keep_their_text() {
        let text = r#" {"a" : 1.10, "b\n":"\u0041", "c": [1,  2], "d":123456789012345678901234567890, "a b": 1e999} "#;
        let found: Vec<_> =
            check(text, 1).expect("sound").into_iter().map(|(name, value)| (name.into_owned(), value.get())).collect();
        let expected = [
            ("a", "1.10"),
            ("b\n", r#""\u0041""#),
            ("c", "[1,  2]"),
            ("d", "123456789012345678901234567890"),
            ("a b", "1e999"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn refusals_name_the_place() {
        assert_eq!(refused(r#"{"a": 1,}"#), "line 7, column 9: trailing comma");
        assert_eq!(refused(r#"{"a": 1"#), "line 7, column 7: EOF while parsing an object");
        assert!(refused("[1]").ends_with("expected an object"));
        assert!(refused("{} {}").contains("trailing characters"));
        assert_eq!(refused(r#"{"a": 1, "\u0061": 2}"#), "line 7, column 20: the name `a` stands twice");
        assert!(refused(r#"{"a": {"b": "\ud800"}}"#).contains("hex escape"));
        assert!(refused(r#"{"\ud800": 1}"#).contains("hex escape"));
        assert!(refused("{\"a\": \"\u{1}\"}").contains("control character"));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\": {}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(&nested(100), 1).is_ok());
        assert!(refused(&nested(1_000_000)).contains("recursion limit"));
    }
}
