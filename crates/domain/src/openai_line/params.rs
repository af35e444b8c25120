//! The portable parameters of a line.

use serde_json::{Map, Value};

use super::unsupported;
use crate::job::spec::Params;
use crate::outcome::ItemError;

const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];
const MOST_STOPS: usize = 4;

/// Takes what is known out of `body`.
pub(super) fn read(body: &mut Map<String, Value>) -> Result<Params, ItemError> {
    // What every request has that isn't streamed.
    take(body, "stream", "answers are not streamed", |value| (value == false).then_some(()))?;
    Ok(Params {
        temperature: take(body, "temperature", "it must be a number from 0 to 2", |value| number(&value, 2.0))?,
        top_p: take(body, "top_p", "it must be a number from 0 to 1", |value| number(&value, 1.0))?,
        max_output_tokens: max_output_tokens(body)?,
        stop: take(body, "stop", "it must be a text, or a list of at most 4", stop)?.unwrap_or_default(),
        seed: take(body, "seed", "it must be a whole number", |value| value.as_i64())?,
        reasoning_effort: take(body, "reasoning_effort", "it must be one of those that OpenAI has", effort)?,
        extra: Map::new(),
    })
}

/// A name's value; null is as if it were not there.
fn take<T>(
    body: &mut Map<String, Value>,
    name: &str,
    why: &str,
    read: impl FnOnce(Value) -> Option<T>,
) -> Result<Option<T>, ItemError> {
    match body.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value).map(Some).ok_or_else(|| unsupported(&format!("body.{name}"), why)),
    }
}

fn max_output_tokens(body: &mut Map<String, Value>) -> Result<Option<u32>, ItemError> {
    let positive = |value: Value| value.as_u64().and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0);
    let why = "it must be a whole number from 1";
    let old = take(body, "max_tokens", why, positive)?;
    let new = take(body, "max_completion_tokens", why, positive)?;
    match (old, new) {
        (Some(old), Some(new)) if old != new => {
            Err(unsupported("body.max_tokens", "`max_completion_tokens` says something else"))
        }
        (old, new) => Ok(new.or(old)),
    }
}

fn number(value: &Value, most: f64) -> Option<f64> {
    value.as_f64().filter(|value| (0.0..=most).contains(value))
}

fn stop(value: Value) -> Option<Vec<String>> {
    let values = match value {
        Value::Array(values) => values,
        text => vec![text],
    };
    let text = |value| match value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    };
    values.into_iter().map(text).collect::<Option<Vec<_>>>().filter(|stops| stops.len() <= MOST_STOPS)
}

fn effort(value: Value) -> Option<String> {
    match value {
        Value::String(effort) if EFFORTS.contains(&&*effort) => Some(effort),
        _ => None,
    }
}
