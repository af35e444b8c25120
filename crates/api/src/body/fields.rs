//! Takes a JSON object apart, field by field, and reports all that is wrong on the way.

use std::fmt::Display;
use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::problem::Problems;

/// An object whose known fields are taken out one by one; what remains is unknown. A null field counts as absent.
pub(crate) struct Fields<'p> {
    object: Map<String, Value>,
    pointer: String,
    problems: &'p mut Problems,
}

impl<'p> Fields<'p> {
    /// The whole body. `None`, with a problem, if it is no object.
    pub(crate) fn of_body(value: Value, problems: &'p mut Problems) -> Option<Self> {
        Self::of(value, String::new(), problems)
    }

    pub(crate) fn of(value: Value, pointer: String, problems: &'p mut Problems) -> Option<Self> {
        match value {
            Value::Object(object) => Some(Self { object, pointer, problems }),
            other => {
                problems.report(pointer, "invalid_type", format!("expected an object, not {}", kind(&other)));
                None
            }
        }
    }

    /// The field's value, unchecked.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.object.shift_remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"))
    }

    /// Whether the field is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(Value::is_null)
    }

    pub(crate) fn is_list(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(Value::is_array)
    }

    /// Where the object itself stands.
    pub(crate) fn own_pointer(&self) -> &str {
        &self.pointer
    }

    pub(crate) fn report(&mut self, name: &str, code: &'static str, message: impl Into<String>) {
        let pointer = self.pointer(name);
        self.problems.report(pointer, code, message);
    }

    pub(crate) fn problems(&mut self) -> &mut Problems {
        self.problems
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => self.wrong_type(name, "a string", &other),
        }
    }

    /// A text that is there, has no NUL, and is between 1 and `longest` characters long.
    pub(crate) fn label(&mut self, name: &str, longest: usize) -> Option<String> {
        let text = self.text(name)?;
        if text.contains('\0') {
            self.report(name, "invalid_string", "a NUL character can't be kept");
            None
        } else if text.is_empty() || text.chars().count() > longest {
            self.report(name, "invalid_value", format!("write 1 to {longest} characters"));
            None
        } else {
            Some(text)
        }
    }

    pub(crate) fn integer<T>(&mut self, name: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let value = self.take(name)?;
        if !(value.is_i64() || value.is_u64()) {
            return self.wrong_type(name, "an integer", &value);
        }
        let integer =
            value.as_i64().and_then(|integer| T::try_from(integer).ok()).filter(|integer| range.contains(integer));
        if integer.is_none() {
            self.report(name, "out_of_range", format!("{value} is not between {} and {}", range.start(), range.end()));
        }
        integer
    }

    pub(crate) fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.take(name)?;
        let Some(number) = value.as_f64() else {
            return self.wrong_type(name, "a number", &value);
        };
        if range.contains(&number) {
            return Some(number);
        }
        self.report(name, "out_of_range", format!("{value} is not between {} and {}", range.start(), range.end()));
        None
    }

    /// A time as in RFC 3339.
    pub(crate) fn time(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let text = self.text(name)?;
        let time = DateTime::parse_from_rfc3339(&text).ok();
        if time.is_none() {
            self.report(name, "invalid_value", "write a time as in RFC 3339, such as 2026-11-22T06:00:00Z");
        }
        time.map(|time| time.to_utc())
    }

    /// One of some names. Those without a value are known, and not yet supported.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, Option<T>)]) -> Option<T> {
        let text = self.text(name)?;
        match choices.iter().find(|(choice, _)| *choice == text) {
            Some((_, Some(value))) => return Some(*value),
            Some((choice, None)) => self.report(name, "not_yet_supported", format!("`{choice}` is not supported yet")),
            None => {
                let known: Vec<_> =
                    choices.iter().filter(|(_, value)| value.is_some()).map(|(choice, _)| *choice).collect();
                self.report(name, "invalid_value", format!("expected one of: {}", known.join(", ")));
            }
        }
        None
    }

    pub(crate) fn object(&mut self, name: &str) -> Option<Fields<'_>> {
        let value = self.take(name)?;
        let pointer = self.pointer(name);
        Fields::of(value, pointer, self.problems)
    }

    pub(crate) fn list(&mut self, name: &str, longest: usize) -> Option<Vec<Value>> {
        match self.take(name)? {
            Value::Array(values) if values.len() <= longest => Some(values),
            Value::Array(values) => {
                self.report(name, "out_of_range", format!("{} entries; at most {longest} are taken", values.len()));
                None
            }
            other => self.wrong_type(name, "a list", &other),
        }
    }

    /// Reports that a required field is absent.
    pub(crate) fn require(&mut self, name: &str) {
        if !self.has(name) {
            self.report(name, "required", format!("`{name}` is required"));
        }
    }

    /// Fields of the contract whose work is not done yet.
    pub(crate) fn later(&mut self, names: &[&str]) {
        for name in names {
            if self.take(name).is_some() {
                self.report(name, "not_yet_supported", format!("`{name}` is not supported yet"));
            }
        }
    }

    /// What nobody has taken, of an object with free names.
    pub(crate) fn into_rest(self) -> Map<String, Value> {
        self.object
    }

    /// What nobody has taken is unknown.
    pub(crate) fn finish(mut self) {
        let rest = std::mem::take(&mut self.object);
        for name in rest.keys() {
            self.report(name, "unknown_field", format!("there is no field `{name}` here"));
        }
    }

    fn wrong_type<T>(&mut self, name: &str, expected: &str, found: &Value) -> Option<T> {
        self.report(name, "invalid_type", format!("expected {expected}, not {}", kind(found)));
        None
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn b3_every_problem_is_reported_with_its_pointer() {
        let mut problems = Problems::default();
        let body =
            json!({"a": 1, "b/c": {"d~": "x", "known": null}, "n": 11, "later": {}, "choice": "z", "list": [1, 2]});
        let mut fields = Fields::of_body(body, &mut problems).expect("an object");
        fields.require("absent");
        assert_eq!(fields.text("a"), None);
        if let Some(mut inner) = fields.object("b/c") {
            assert_eq!(inner.number("d~", 0.0..=1.0), None);
            assert_eq!(inner.text("known"), None);
            inner.finish();
        }
        assert_eq!(fields.integer("n", 1..=10), None);
        assert_eq!(fields.choice("choice", &[("x", Some(1)), ("y", None)]), None);
        assert_eq!(fields.list("list", 1), None);
        fields.later(&["later", "never"]);
        fields.object.insert("odd".into(), Value::Null);
        fields.finish();
        let expected = [
            ("/absent", "required"),
            ("/a", "invalid_type"),
            ("/b~1c/d~0", "invalid_type"),
            ("/n", "out_of_range"),
            ("/choice", "invalid_value"),
            ("/list", "out_of_range"),
            ("/later", "not_yet_supported"),
            ("/odd", "unknown_field"),
        ];
        assert_eq!(problems.pairs(), expected);
    }

    #[test]
    fn b26_a_label_has_no_nul() {
        let mut problems = Problems::default();
        let mut fields =
            Fields::of_body(json!({"name": "a\0b", "good": "😀 \u{202e}"}), &mut problems).expect("an object");
        assert_eq!(fields.label("name", 10), None);
        assert_eq!(fields.label("good", 10).as_deref(), Some("😀 \u{202e}"));
        assert_eq!(problems.pairs(), [("/name", "invalid_string")]);
    }
}
