//! The parameters beside the messages: which exist, and what they may be.

use super::error::ApiError;
use crate::value::{Fields, Value};

/// What a parameter may be, besides null.
enum Check {
    /// Accepted as it is, without effect on the answer.
    Any,
    Flag,
    Text,
    Object,
    Integer {
        min: i64,
    },
    Number {
        min: f64,
        max: f64,
    },
    /// Known to OpenAI and refused here.
    Unsupported,
}

/// Checks each parameter by itself.
pub(super) fn check(fields: &Fields<'_>) -> Result<(), ApiError> {
    for (name, value) in &fields.0 {
        check_parameter(name, value)?;
    }
    check_unsupported_values(fields)
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

fn check_parameter(name: &str, value: &Value<'_>) -> Result<(), ApiError> {
    let Some(check) = known(name) else {
        let message = format!("Unrecognized request argument supplied: {name}");
        return Err(ApiError::invalid(400, message, None, None));
    };
    match (check, value) {
        (_, Value::Null)
        | (Check::Any, _)
        | (Check::Flag, Value::Flag(_))
        | (Check::Text, Value::Text(_))
        | (Check::Object, Value::Object(_)) => Ok(()),
        (Check::Unsupported, _) => Err(ApiError::unsupported(name)),
        (Check::Integer { min }, Value::Integer(number)) if *number >= min => Ok(()),
        (Check::Integer { min }, Value::Integer(number)) => {
            let message = format!("Invalid '{name}': expected a value >= {min}, but got {number}.");
            Err(ApiError::parameter(name, "integer_below_min_value", message))
        }
        (Check::Number { min, max }, Value::Integer(number)) => {
            // Compared with bounds of single digits, rounding cannot matter.
            #[expect(clippy::cast_precision_loss, reason = "see above")]
            check_range(name, *number as f64, min, max)
        }
        (Check::Number { min, max }, Value::Number(number)) => check_range(name, *number, min, max),
        (Check::Flag, other) => Err(ApiError::wrong_type(name, "a boolean", other)),
        (Check::Text, other) => Err(ApiError::wrong_type(name, "a string", other)),
        (Check::Object, other) => Err(ApiError::wrong_type(name, "an object", other)),
        (Check::Integer { .. }, other) => Err(ApiError::wrong_type(name, "an integer", other)),
        (Check::Number { .. }, other) => Err(ApiError::wrong_type(name, "a decimal", other)),
    }
}

fn check_range(name: &str, number: f64, min: f64, max: f64) -> Result<(), ApiError> {
    let (code, bound) = if number < min {
        ("decimal_below_min_value", format!(">= {min}"))
    } else if number > max {
        ("decimal_above_max_value", format!("<= {max}"))
    } else {
        return Ok(());
    };
    let message = format!("Invalid '{name}': expected a value {bound}, but got {number}.");
    Err(ApiError::parameter(name, code, message))
}

fn check_unsupported_values(fields: &Fields<'_>) -> Result<(), ApiError> {
    match fields.get("n") {
        None | Some(Value::Integer(1)) => {}
        Some(_) => return Err(ApiError::unsupported("n")),
    }
    match fields.get("stream") {
        None | Some(Value::Flag(false)) => {}
        Some(_) => return Err(ApiError::unsupported("stream")),
    }
    match fields.get("stop") {
        None | Some(Value::Text(_)) => Ok(()),
        Some(Value::List(stops)) if stops.len() <= 4 && stops.iter().all(|stop| matches!(stop, Value::Text(_))) => {
            Ok(())
        }
        Some(other) => Err(ApiError::wrong_type("stop", "a string or an array of at most 4 strings", other)),
    }
}
