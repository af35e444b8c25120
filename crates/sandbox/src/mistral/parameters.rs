//! The body of a chat completion request, checked as strictly as Mistral does.

use super::error::ApiError;
use crate::asked::Asked;
use crate::check::Check;
use crate::openai::{check_by, read_messages};
use crate::value::{Fields, Value};

/// Checks and reads a request.
pub(super) fn read<'a>(fields: &'a Fields<'_>) -> Result<Asked<'a>, ApiError> {
    if let Some((name, _)) = fields.0.iter().find(|(name, _)| known(name).is_none()) {
        return Err(ApiError::unknown_field(name));
    }
    check_by(fields, known)?;
    let max_tokens = match fields.get("max_tokens") {
        Some(Value::Integer(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    Ok(Asked { max_tokens, ..read_messages(fields)? })
}

/// The parameters of Mistral's specification of August 2026 (schema `ChatCompletionRequest`), which allows no
/// others.
fn known(name: &str) -> Option<Check> {
    Some(match name {
        "model" | "messages" | "stop" | "n" | "stream" | "response_format" | "prediction" | "guardrails" => Check::Any,
        "safe_prompt" | "parallel_tool_calls" => Check::Flag,
        "prompt_cache_key" | "service_tier" | "reasoning_effort" | "prompt_mode" => Check::Text,
        "metadata" => Check::Object,
        "max_tokens" | "random_seed" => Check::Integer { min: 0 },
        "temperature" => Check::Number { min: 0.0, max: 1.5 },
        "top_p" => Check::Number { min: 0.0, max: 1.0 },
        "frequency_penalty" | "presence_penalty" => Check::Number { min: -2.0, max: 2.0 },
        "tools" | "tool_choice" => Check::Unsupported,
        _ => return None,
    })
}
