//! Filters that make numbers, or fail. The check of `+` and `*` relies on it.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, State, filters};

use super::wrong_input;
use crate::template::jinja_tests::is_missing;
use crate::template::rendering::Rendering;

pub(super) fn add(environment: &mut Environment) {
    environment.add_filter("abs", filters::abs);
    environment.add_filter("float", |state: &State, value: &Value, default: Option<Value>| {
        parse(state, value, default, |value| filters::float(state, value, None, no_names()))
    });
    environment.add_filter("int", |state: &State, value: &Value, default: Option<Value>| {
        parse(state, value, default, |value| filters::int(state, value, None, None, no_names()))
    });
    environment.add_filter("round", filters::round);
}

/// The number in a value; where there is none, the default, and without one, zero for null and an error for the rest.
fn parse(
    state: &State,
    value: &Value,
    default: Option<Value>,
    number: impl Fn(&Value) -> Result<Value, Error>,
) -> Result<Value, Error> {
    if default.as_ref().is_some_and(|default| default.kind() != ValueKind::Number) {
        return Err(wrong_input("the default of int and float is a number"));
    }
    Rendering::of(state)?.take_value(value)?;
    let trimmed = value.as_str().map(|text| Value::from(text.trim()));
    let parsed = number(trimmed.as_ref().unwrap_or(value));
    match default {
        Some(default) if parsed.is_err() || is_missing(value) => Ok(default),
        _ => parsed,
    }
}

fn no_names() -> Kwargs {
    std::iter::empty::<(String, Value)>().collect()
}
