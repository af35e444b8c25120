//! `params` and `limits` of a submission.

use domain::job::spec::{Limits, Params};
use serde_json::Value;

use crate::body::Fields;

/// What drivers set themselves.
const RESERVED: [&str; 5] = ["model", "messages", "stream", "stream_options", "n"];
const MOST_STOPS: usize = 4;

pub(super) fn params(body: &mut Fields<'_>) -> Params {
    let Some(mut fields) = body.object("params") else {
        return Params::default();
    };
    let effort = ["none", "minimal", "low", "medium", "high", "xhigh"].map(|effort| (effort, Some(effort)));
    let params = Params {
        temperature: fields.number("temperature", 0.0..=2.0),
        top_p: fields.number("top_p", 0.0..=1.0),
        max_output_tokens: fields.integer("max_output_tokens", 1..=u32::MAX),
        stop: stop(&mut fields),
        seed: fields.integer("seed", i64::MIN..=i64::MAX),
        reasoning_effort: fields.choice("reasoning_effort", &effort).map(str::to_owned),
        extra: extra(&mut fields),
    };
    fields.finish();
    params
}

fn stop(fields: &mut Fields<'_>) -> Vec<String> {
    let values = fields.list("stop", MOST_STOPS).unwrap_or_default();
    let mut stops = Vec::with_capacity(values.len());
    for (position, value) in values.into_iter().enumerate() {
        match value {
            Value::String(text) if !text.is_empty() => stops.push(text),
            _ => {
                let pointer = format!("{}/{position}", fields.pointer("stop"));
                fields.problems().report(pointer, "invalid_type", "expected a string that is not empty");
            }
        }
    }
    stops
}

fn extra(fields: &mut Fields<'_>) -> serde_json::Map<String, Value> {
    let Some(mut extra) = fields.object("extra") else {
        return serde_json::Map::new();
    };
    for name in RESERVED {
        if extra.take(name).is_some() {
            extra.report(name, "invalid_value", format!("`{name}` is set by the service"));
        }
    }
    extra.into_rest()
}

pub(super) fn limits(body: &mut Fields<'_>) -> Limits {
    let Some(mut fields) = body.object("limits") else {
        return Limits::default();
    };
    let max_attempts = fields.integer("max_attempts", 1..=20).unwrap_or(Limits::default().max_attempts);
    fields.later(&["max_cost_usd", "max_failed_fraction", "retry_refusals"]);
    fields.finish();
    Limits { max_attempts }
}
