//! The parameters beside the messages: which exist, and what they may be.

use super::error::ApiError;
use crate::check::{Check, Problem};
use crate::value::{Fields, Value};

/// Checks each parameter by itself.
pub(super) fn check(fields: &Fields<'_>) -> Result<(), ApiError> {
    check_by(fields, known)?;
    match fields.get("stop") {
        None | Some(Value::Text(_)) => Ok(()),
        Some(Value::List(stops)) if stops.len() <= 4 && stops.iter().all(|stop| matches!(stop, Value::Text(_))) => {
            Ok(())
        }
        Some(other) => Err(ApiError::wrong_type("stop", "a string or an array of at most 4 strings", other)),
    }
}

/// Checks each parameter by the table of a family, and that neither several answers nor a stream are wanted.
pub(crate) fn check_by(fields: &Fields<'_>, known: fn(&str) -> Option<Check>) -> Result<(), ApiError> {
    for (name, value) in &fields.0 {
        check_parameter(name, value, known)?;
    }
    match fields.get("n") {
        None | Some(Value::Integer(1)) => {}
        Some(_) => return Err(ApiError::unsupported("n")),
    }
    match fields.get("stream") {
        None | Some(Value::Flag(false)) => Ok(()),
        Some(_) => Err(ApiError::unsupported("stream")),
    }
}

/// The parameters of OpenAI's specification of August 2026 (schema `CreateChatCompletionRequest`).
fn known(name: &str) -> Option<Check> {
    Some(match name {
        "model"
        | "messages"
        | "stop"
        | "n"
        | "stream"
        | "audio"
        | "prediction"
        | "moderation"
        | "modalities"
        | "prompt_cache_options"
        | "response_format"
        | "top_logprobs" => Check::Any,
        "store" | "logprobs" | "parallel_tool_calls" => Check::Flag,
        "user"
        | "safety_identifier"
        | "prompt_cache_key"
        | "prompt_cache_retention"
        | "service_tier"
        | "verbosity"
        | "reasoning_effort" => Check::Text,
        "metadata" | "logit_bias" => Check::Object,
        "max_completion_tokens" | "max_tokens" => Check::Integer { min: 1 },
        "seed" => Check::Integer { min: i64::MIN },
        "temperature" => Check::Number { min: 0.0, max: 2.0 },
        "top_p" => Check::Number { min: 0.0, max: 1.0 },
        "frequency_penalty" | "presence_penalty" => Check::Number { min: -2.0, max: 2.0 },
        "tools" | "tool_choice" | "functions" | "function_call" | "stream_options" | "web_search_options" => {
            Check::Unsupported
        }
        _ => return None,
    })
}

fn check_parameter(name: &str, value: &Value<'_>, known: fn(&str) -> Option<Check>) -> Result<(), ApiError> {
    let Some(check) = known(name) else {
        let message = format!("Unrecognized request argument supplied: {name}");
        return Err(ApiError::invalid(400, message, None, None));
    };
    check.judge(value).map_err(|problem| match problem {
        Problem::Type { expected } => ApiError::wrong_type(name, expected, value),
        Problem::Below { integer, min, got } => {
            let code = if integer { "integer_below_min_value" } else { "decimal_below_min_value" };
            ApiError::parameter(name, code, format!("Invalid '{name}': expected a value >= {min}, but got {got}."))
        }
        Problem::Above { max, got } => {
            let message = format!("Invalid '{name}': expected a value <= {max}, but got {got}.");
            ApiError::parameter(name, "decimal_above_max_value", message)
        }
        Problem::Unsupported => ApiError::unsupported(name),
    })
}
