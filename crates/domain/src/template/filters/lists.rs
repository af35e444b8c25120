//! Filters that make or read lists. Null counts as the empty list.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, State, filters};

use super::wrong_input;
use crate::template::jinja_tests::is_missing;
use crate::template::limits::NODE_BYTES;
use crate::template::rendering::Rendering;

pub(super) fn add(environment: &mut Environment) {
    environment.add_filter("first", first);
    environment.add_filter("items", items);
    environment.add_filter("last", last);
    environment.add_filter("length", length);
    environment.add_filter("lines", lines);
    environment.add_filter("list", list);
    environment.add_filter("reverse", reverse);
    environment.add_filter("sort", sort);
    environment.add_filter("split", split);
    environment.add_filter("unique", unique);
}

/// Characters of a text, items of a list, fields of an object.
fn length(state: &State, value: &Value) -> Result<usize, Error> {
    Rendering::of(state)?.take_value(value)?;
    if is_missing(value) {
        return Ok(0);
    }
    value.len().ok_or_else(|| wrong_input(format!("length takes text, a list or an object, not a {}", value.kind())))
}

fn first(state: &State, value: &Value) -> Result<Value, Error> {
    Ok(collect(state, value)?.into_iter().next().unwrap_or_default())
}

fn last(state: &State, value: &Value) -> Result<Value, Error> {
    Ok(collect(state, value)?.pop().unwrap_or_default())
}

fn list(state: &State, value: &Value) -> Result<Value, Error> {
    collect(state, value).map(Value::from)
}

fn items(state: &State, value: &Value) -> Result<Value, Error> {
    Rendering::of(state)?.take_value(value)?;
    if is_missing(value) { Ok(Value::from(Vec::<Value>::new())) } else { filters::items(value) }
}

fn reverse(state: &State, value: &Value) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        Rendering::of(state)?.take(2 * text.len())?;
        return Ok(Value::from(text.chars().rev().collect::<String>()));
    }
    let mut values = collect(state, value)?;
    values.reverse();
    Ok(Value::from(values))
}

/// By number where both are numbers, else by text, without regard to case.
#[expect(clippy::needless_pass_by_value, reason = "the engine passes named arguments by value")]
fn sort(state: &State, value: &Value, reverse: Option<bool>, named: Kwargs) -> Result<Value, Error> {
    let reverse = reverse.or(named.get("reverse")?).unwrap_or(false);
    let attribute: Option<&str> = named.get("attribute")?;
    named.assert_all_used()?;
    let rendering = Rendering::of(state)?;
    let values = collect(state, value)?;
    let rounds = values.len().checked_ilog2().map_or(1, |rounds| rounds as usize + 1);
    let mut keyed = Vec::with_capacity(values.len());
    for value in values {
        let key = match attribute {
            Some(attribute) => value.get_attr(attribute)?,
            None => value.clone(),
        };
        let key = SortKey::of(&rendering, &key)?;
        rendering.take(rounds * (NODE_BYTES + key.text.len()))?;
        keyed.push((key, value));
    }
    keyed.sort_by(|(left, _), (right, _)| if reverse { right.cmp(left) } else { left.cmp(right) });
    Ok(keyed.into_iter().map(|(_, value)| value).collect())
}

/// Numbers come before text.
struct SortKey {
    number: Option<f64>,
    text: String,
}

impl SortKey {
    fn of(rendering: &Rendering, value: &Value) -> Result<Self, Error> {
        if let (ValueKind::Number, Ok(number)) = (value.kind(), f64::try_from(value.clone())) {
            return Ok(Self { number: Some(number), text: String::new() });
        }
        let text = rendering.text(value)?;
        rendering.take(3 * text.len())?;
        Ok(Self { number: None, text: text.to_lowercase() })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        match (self.number, other.number) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.text.cmp(&other.text),
        }
    }
}

/// The first of each, by JSON text.
fn unique(state: &State, value: &Value) -> Result<Value, Error> {
    let rendering = Rendering::of(state)?;
    let mut seen: HashSet<Arc<str>> = HashSet::new();
    let mut kept = Vec::new();
    for value in collect(state, value)? {
        let json = rendering.json(&value, None)?;
        if json.to_str().is_some_and(|json| seen.insert(json)) {
            kept.push(value);
        }
    }
    Ok(Value::from(kept))
}

fn lines(state: &State, value: &Value) -> Result<Value, Error> {
    let rendering = Rendering::of(state)?;
    let text = rendering.text(value)?;
    pieces(&rendering, || text.lines())
}

/// At a separator, or at whitespace without one; into at most `most` pieces.
fn split(state: &State, value: &Value, separator: Option<&str>, most: Option<usize>) -> Result<Value, Error> {
    let rendering = Rendering::of(state)?;
    let text = rendering.text(value)?;
    match (separator, most) {
        (None, None) => pieces(&rendering, || text.split_whitespace()),
        (None, Some(most)) => pieces(&rendering, || text.splitn(most, char::is_whitespace)),
        (Some(separator), None) => pieces(&rendering, || text.split(separator)),
        (Some(separator), Some(most)) => pieces(&rendering, || text.splitn(most, separator)),
    }
}

/// A list of pieces of a text, counted before it is built.
fn pieces<'text, Pieces: Iterator<Item = &'text str>>(
    rendering: &Rendering,
    cut: impl Fn() -> Pieces,
) -> Result<Value, Error> {
    let bytes = cut().map(|piece| piece.len() + NODE_BYTES).sum();
    rendering.take(bytes)?;
    Ok(cut().map(Value::from).collect())
}

/// The items of a list, names of an object's fields or characters of a text, counted before the list is built.
fn collect(state: &State, value: &Value) -> Result<Vec<Value>, Error> {
    let rendering = Rendering::of(state)?;
    rendering.take_value(value)?;
    rendering.take(NODE_BYTES.saturating_mul(value.len().unwrap_or(0)))?;
    Ok(value.try_iter()?.collect())
}
