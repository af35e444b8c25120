//! The body of a chat completion request.

use crate::asked::Asked;
use crate::check::Check;
use crate::openai::{ApiError, check_by, read_messages};
use crate::value::{Fields, Value};

/// Checks and reads a request.
pub(super) fn read<'a>(fields: &'a Fields<'_>) -> Result<Asked<'a>, ApiError> {
    check_by(fields, known)?;
    let max_tokens = match fields.get("max_tokens") {
        Some(Value::Integer(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    Ok(Asked { max_tokens, ..read_messages(fields)? })
}

/// The parameters of Together's specification of April 2026 (schema `ChatCompletionRequest`). Together is said to
/// ignore others; the sandbox refuses them, since nobody should send them.
fn known(name: &str) -> Option<Check> {
    Some(match name {
        "model" | "messages" | "n" | "stream" | "response_format" | "compliance" | "logprobs" => Check::Any,
        "stop" => Check::Texts { most: 64 },
        "echo" => Check::Flag,
        "safety_model" | "reasoning_effort" | "context_length_exceeded_behavior" => Check::Text,
        "logit_bias" | "chat_template_kwargs" | "reasoning" => Check::Object,
        "max_tokens" => Check::Integer { min: 1 },
        "top_k" => Check::Integer { min: 0 },
        "seed" => Check::Integer { min: i64::MIN },
        "temperature" => Check::Number { min: 0.0, max: 2.0 },
        "top_p" | "min_p" => Check::Number { min: 0.0, max: 1.0 },
        "repetition_penalty" => Check::Number { min: 0.0, max: 2.0 },
        "frequency_penalty" | "presence_penalty" => Check::Number { min: -2.0, max: 2.0 },
        "tools" | "tool_choice" | "function_call" => Check::Unsupported,
        _ => return None,
    })
}
