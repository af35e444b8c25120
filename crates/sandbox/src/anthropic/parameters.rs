//! The parameters beside messages and system prompt: which exist, and what they may be.

use super::Version;
use super::error::ApiError;
use crate::check::{Check, Problem};
use crate::value::{Fields, Value};

/// Checks each parameter by itself.
pub(super) fn check(fields: &Fields<'_>, version: Version) -> Result<(), ApiError> {
    for (name, value) in &fields.0 {
        check_parameter(name, value)?;
        if version == Version::Of2026 && is_sampling(name) && *value != Value::Null {
            return Err(ApiError::invalid(format!("{name}: sampling parameters are not supported in 2026-10-21")));
        }
    }
    match fields.get("stream") {
        Some(Value::Flag(true)) => Err(unsupported("stream")),
        _ => Ok(()),
    }
}

/// Checks what only provider batches refuse.
pub(super) fn check_in_batch(fields: &Fields<'_>) -> Result<(), ApiError> {
    let refused = ["speed", "store", "previous_thread_event_id"].into_iter().find(|name| fields.get(name).is_some());
    if let Some(name) = refused {
        return Err(ApiError::invalid(format!("{name}: not supported in batches")));
    }
    match (fields.get("stream"), fields.get("max_tokens")) {
        (Some(Value::Flag(true)), _) => Err(ApiError::invalid("stream: not supported in batches".to_owned())),
        (_, Some(Value::Integer(0))) => Err(ApiError::wrong_type("max_tokens", "greater than or equal to 1")),
        _ => Ok(()),
    }
}

fn is_sampling(name: &str) -> bool {
    matches!(name, "temperature" | "top_p" | "top_k")
}

/// The parameters of Anthropic's SDK 2.11.0 of November 2026, and the sampling parameters before it.
fn known(name: &str) -> Option<Check> {
    Some(match name {
        "messages" | "system" | "container" => Check::Any,
        "model" | "service_tier" | "inference_geo" | "speed" | "previous_thread_event_id" => Check::Text,
        "max_tokens" => Check::Integer { min: 0 },
        "stop_sequences" => Check::Texts { most: usize::MAX },
        "stream" | "store" => Check::Flag,
        "metadata" | "thinking" | "output_config" | "cache_control" | "context_management" => Check::Object,
        "temperature" | "top_p" => Check::Number { min: 0.0, max: 1.0 },
        "top_k" => Check::Integer { min: 0 },
        "tools" | "tool_choice" | "mcp_servers" => Check::Unsupported,
        _ => return None,
    })
}

/// The fields of a parameter that is an object; empty where they are not checked.
fn fields_of(name: &str) -> &'static [&'static str] {
    match name {
        "metadata" => &["user_id"],
        "thinking" => &["type", "budget_tokens", "display"],
        "output_config" => &["format", "effort"],
        "cache_control" => &["type", "ttl"],
        _ => &[],
    }
}

fn check_parameter(name: &str, value: &Value<'_>) -> Result<(), ApiError> {
    let check = known(name).ok_or_else(|| ApiError::unknown(name))?;
    check.judge(value).map_err(|problem| match problem {
        Problem::Type { expected } => ApiError::wrong_type(name, expected),
        Problem::Below { min, .. } => ApiError::wrong_type(name, &format!("greater than or equal to {min}")),
        Problem::Above { max, .. } => ApiError::wrong_type(name, &format!("less than or equal to {max}")),
        Problem::Unsupported => unsupported(name),
    })?;
    match (value, fields_of(name)) {
        (Value::Object(_), []) => Ok(()),
        (Value::Object(fields), known) => check_fields(name, fields, known),
        _ => Ok(()),
    }
}

/// Refuses fields of an object that are none of the known ones.
pub(super) fn check_fields(path: &str, fields: &Fields<'_>, known: &[&str]) -> Result<(), ApiError> {
    match fields.0.iter().find(|(name, _)| !known.contains(&name.as_ref())) {
        Some((name, _)) => Err(ApiError::unknown(&format!("{path}.{name}"))),
        None => Ok(()),
    }
}

fn unsupported(name: &str) -> ApiError {
    ApiError::invalid(format!("{name}: not supported by this model"))
}
