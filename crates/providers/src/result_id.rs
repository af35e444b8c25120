//! The id in a line of a result file.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

/// The text that a line's object has under `name`. Reads no further than to it, because most of a line is its answer: whether the rest
/// is whole is for whoever reads the result. `None`: there is none, or it is empty.
pub(crate) fn find<'a>(line: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    let mut found = None;
    // To stop in the middle is an error to serde.
    let _ = serde_json::Deserializer::from_slice(line).deserialize_map(Finder { name, found: &mut found });
    found.filter(|id| !id.is_empty())
}

struct Finder<'n, 'a> {
    name: &'n str,
    found: &'n mut Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Visitor<'a> for Finder<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            if key == self.name {
                let Text(id) = map.next_value()?;
                *self.found = Some(id);
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_wherever_it_stands() {
        for line in [
            r#"{"id":"x","custom_id":"r1","response":{}}"#,
            r#"{"response":{"custom_id":"other"},"custom_id":"r1"}"#,
            r#"{"custom\u005fid":"r\u0031"}"#,
            r#"{"custom_id":"r1","response":{"#,
        ] {
            assert_eq!(find(line.as_bytes(), "custom_id").as_deref(), Some("r1"), "{line}");
        }
        assert!(matches!(find(br#"{"custom_id":"r1"}"#, "custom_id"), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn a_line_without_an_id_has_none() {
        for line in
            ["", "{}", "[]", "null", r#"{"custom_id":""}"#, r#"{"custom_id":1}"#, r#"{"custom_id":"r1"#, "\u{feff}{}"]
        {
            assert_eq!(find(line.as_bytes(), "custom_id"), None, "{line}");
        }
    }
}
