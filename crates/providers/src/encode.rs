//! What the families that are not OpenAI's encode alike.

use std::fmt;

use domain::prompt::{Message, Role};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The texts of all system messages as one, with a blank line between them.
pub(crate) struct SystemText<'a>(&'a [Message]);

impl<'a> SystemText<'a> {
    /// `None` where there is no system message.
    pub(crate) fn of(messages: &'a [Message]) -> Option<Self> {
        messages.iter().any(|message| message.role == Role::System).then_some(Self(messages))
    }
}

impl fmt::Display for SystemText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.0.iter().filter(|message| message.role == Role::System).map(|message| &message.text);
        for (position, text) in texts.enumerate() {
            if position > 0 {
                f.write_str("\n\n")?;
            }
            f.write_str(text)?;
        }
        Ok(())
    }
}

/// Escaped piece by piece as it is written: no joined text is made.
impl Serialize for SystemText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Appends JSON of what can't fail to have one: texts and structs of texts.
pub(crate) fn append(json: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(json, value).expect("strings always serialise, and a Vec takes every write");
}

/// What a request grows to beside its fixed part, about: its texts, their escapes, and `frame` bytes for each.
pub(crate) fn room(messages: &[Message], frame: usize) -> usize {
    let text: usize = messages.iter().map(|message| message.text.len() + frame).sum();
    text + text / 16 + 8
}

/// Sets `name`, field by field where both values are objects; the new value wins.
pub(crate) fn merge(object: &mut Map<String, Value>, name: &str, value: Value) {
    match (object.get_mut(name), value) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            for (name, value) in new {
                merge(old, &name, value);
            }
        }
        (_, value) => {
            object.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn system_texts_are_joined_by_a_blank_line() {
        let message = |role, text: &str| Message { role, text: text.to_owned() };
        let messages = [message(Role::System, "a\"\n"), message(Role::User, "u"), message(Role::System, "\u{1f600}")];
        let mut out = Vec::new();
        append(&mut out, &SystemText::of(&messages).expect("system texts"));
        assert_eq!(serde_json::from_slice::<String>(&out).expect("a string"), "a\"\n\n\n\u{1f600}");
        assert!(SystemText::of(&messages[1..2]).is_none());
    }

    #[test]
    fn objects_merge_and_the_new_value_wins() {
        let mut object = Map::from_iter([("a".to_owned(), json!({"b": {"c": 1}, "d": 2})), ("e".to_owned(), json!(1))]);
        merge(&mut object, "a", json!({"b": {"x": 3}, "d": 4}));
        merge(&mut object, "e", json!({"f": 1}));
        assert_eq!(Value::Object(object), json!({"a": {"b": {"c": 1, "x": 3}, "d": 4}, "e": {"f": 1}}));
    }
}
