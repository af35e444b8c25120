//! The filters of templates. Each takes the work of reading its input, and of what it builds, from the rendering's
//! budget before it builds it.

mod lists;
mod numbers;
mod words;

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, State};

use super::guard::Meter;
use super::jinja_tests::is_missing;
use super::rendering::Rendering;

pub(super) const NAMES: [&str; 26] = [
    "abs",
    "capitalize",
    "d",
    "default",
    "first",
    "float",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "replace",
    "reverse",
    "round",
    "sort",
    "split",
    "string",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
];

pub(super) fn add(environment: &mut Environment) {
    words::add(environment);
    lists::add(environment);
    numbers::add(environment);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter(Meter::Operand.filter(), metered);
    environment.add_filter(Meter::Container.filter(), metered_container);
}

/// For null and absent values, or with `true`, for all that is false (empty text, zero, empty lists).
fn default(value: &Value, other: Option<Value>, or_false: Option<bool>) -> Value {
    if is_missing(value) || (or_false == Some(true) && !value.is_true()) {
        other.unwrap_or_else(|| Value::from(""))
    } else {
        value.clone()
    }
}

fn metered(state: &State, value: &Value) -> Result<Value, Error> {
    Rendering::of(state)?.take_value(value)?;
    Ok(value.clone())
}

fn metered_container(state: &State, value: &Value) -> Result<Value, Error> {
    if value.is_none() { Ok(Value::UNDEFINED) } else { metered(state, value) }
}

fn wrong_input(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
