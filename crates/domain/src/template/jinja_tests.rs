//! The tests of `{% if x is … %}`.

use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, tests};

pub(super) const NAMES: [&str; 21] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "even",
    "false",
    "float",
    "in",
    "integer",
    "iterable",
    "lower",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
];

/// Adds them. A null cell is `none`; it is also not `defined`, as it would be if the field were absent.
pub(super) fn add(environment: &mut Environment) {
    environment.add_test("boolean", tests::is_boolean);
    environment.add_test("defined", |value: &Value| !is_missing(value));
    environment.add_test("divisibleby", is_divisible);
    environment
        .add_test("endingwith", |value: &Value, end: &str| value.as_str().is_some_and(|text| text.ends_with(end)));
    environment.add_test("eq", tests::is_eq);
    environment.add_test("even", tests::is_even);
    environment.add_test("false", tests::is_false);
    environment.add_test("float", tests::is_float);
    environment.add_test("in", tests::is_in);
    environment.add_test("integer", tests::is_integer);
    environment.add_test("iterable", |value: &Value| matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable));
    environment.add_test("lower", tests::is_lower);
    environment.add_test("mapping", tests::is_mapping);
    environment.add_test("ne", tests::is_ne);
    environment.add_test("none", is_missing);
    environment.add_test("number", |value: &Value| value.kind() == ValueKind::Number);
    environment.add_test("odd", tests::is_odd);
    environment.add_test("sequence", |value: &Value| matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable));
    environment.add_test("startingwith", |value: &Value, start: &str| {
        value.as_str().is_some_and(|text| text.starts_with(start))
    });
    environment.add_test("string", tests::is_string);
    environment.add_test("true", tests::is_true);
}

/// Null or absent: a row makes no difference between them.
pub(super) fn is_missing(value: &Value) -> bool {
    value.is_none() || value.is_undefined()
}

/// The engine's own test panics on zero.
fn is_divisible(value: &Value, divisor: &Value) -> bool {
    match (value.as_i64(), divisor.as_i64()) {
        (Some(value), Some(divisor)) => value.checked_rem(divisor) == Some(0),
        _ => false,
    }
}
