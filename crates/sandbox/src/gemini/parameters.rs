//! The parameters beside the contents: which exist, and what they may be.

use super::error::ApiError;
use crate::check::{Check, Problem};
use crate::value::{Fields, Value};

/// Where the generation's parameters stand, as errors name it.
const GENERATION: &str = "generation_config";

/// Checks each field of a request by itself, and the parameters of the generation.
pub(super) fn check(fields: &Fields<'_>) -> Result<(), ApiError> {
    check_each("", fields, known)?;
    let Some(Value::Object(generation)) = fields.get("generationConfig") else {
        return Ok(());
    };
    check_each(GENERATION, generation, known_of_generation)?;
    if let Some(Value::Object(thinking)) = generation.get("thinkingConfig") {
        check_each("generation_config.thinking_config", thinking, known_of_thinking)?;
    }
    match generation.get("candidateCount") {
        None | Some(Value::Integer(1)) => Ok(()),
        Some(_) => Err(ApiError::argument("generation_config.candidate_count", "only one candidate is supported")),
    }
}

/// The limit on the answer.
pub(super) fn max_tokens(fields: &Fields<'_>) -> Option<u64> {
    match fields.get("generationConfig")? {
        Value::Object(generation) => match generation.get("maxOutputTokens")? {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The fields of `GenerateContentRequest` in Google's SDK 3.4.0 of November 2026, without those of Vertex.
fn known(name: &str) -> Option<Check> {
    Some(match name {
        "contents" | "safetySettings" => Check::List,
        "systemInstruction" | "generationConfig" => Check::Object,
        "model" => Check::Text,
        "tools" | "toolConfig" | "cachedContent" => Check::Unsupported,
        _ => return None,
    })
}

fn known_of_generation(name: &str) -> Option<Check> {
    Some(match name {
        "temperature" => Check::Number { min: 0.0, max: 2.0 },
        "topP" => Check::Number { min: 0.0, max: 1.0 },
        "presencePenalty" | "frequencyPenalty" => Check::Number { min: -2.0, max: 2.0 },
        "topK" | "maxOutputTokens" | "candidateCount" => Check::Integer { min: 1 },
        "logprobs" => Check::Integer { min: 0 },
        "seed" => Check::Integer { min: i64::from(i32::MIN) },
        "stopSequences" => Check::Texts { most: 5 },
        "responseMimeType" | "mediaResolution" => Check::Text,
        "responseSchema" | "thinkingConfig" | "speechConfig" | "imageConfig" => Check::Object,
        "responseJsonSchema" => Check::Any,
        "responseModalities" => Check::Texts { most: usize::MAX },
        "responseLogprobs" | "enableEnhancedCivicAnswers" => Check::Flag,
        _ => return None,
    })
}

fn known_of_thinking(name: &str) -> Option<Check> {
    Some(match name {
        "thinkingBudget" => Check::Integer { min: -1 },
        "includeThoughts" => Check::Flag,
        "thinkingLevel" => Check::Text,
        _ => return None,
    })
}

/// Refuses fields of an object that are none of the known ones.
pub(super) fn check_fields(path: &str, fields: &Fields<'_>, known: &[&str]) -> Result<(), ApiError> {
    match fields.0.iter().find(|(name, _)| !known.contains(&name.as_ref())) {
        Some((name, _)) => Err(ApiError::unknown(path, name)),
        None => Ok(()),
    }
}

fn check_each(path: &str, fields: &Fields<'_>, known: fn(&str) -> Option<Check>) -> Result<(), ApiError> {
    for (name, value) in &fields.0 {
        let check = known(name).ok_or_else(|| ApiError::unknown(path, name))?;
        check.judge(value).map_err(|problem| refuse(path, name, problem))?;
    }
    Ok(())
}

fn refuse(path: &str, name: &str, problem: Problem) -> ApiError {
    let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match problem {
        Problem::Type { expected } => ApiError::wrong_type(&path, expected),
        Problem::Below { min, got, .. } => ApiError::argument(&path, &format!("{got} is below {min}")),
        Problem::Above { max, got } => ApiError::argument(&path, &format!("{got} is above {max}")),
        Problem::Unsupported => ApiError::argument(&path, "not supported by this model"),
    }
}
