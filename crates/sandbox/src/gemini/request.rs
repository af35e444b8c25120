//! The body of a request to generate content, checked as strictly as Gemini does. Names in snake case, which
//! Gemini takes too, are refused.

use super::error::ApiError;
use super::parameters::{self, check_fields, max_tokens};
use crate::asked::Asked;
use crate::value::{Fields, Value};

/// The fields of a part, as in Google's SDK 3.4.0 of November 2026.
const PART_FIELDS: [&str; 12] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "thought",
    "thoughtSignature",
    "videoMetadata",
    "mediaResolution",
    "partMetadata",
];

/// Checks and reads a request to `model`.
pub(super) fn read<'a>(fields: &'a Fields<'_>, model: &'a str) -> Result<Asked<'a>, ApiError> {
    parameters::check(fields)?;
    let mut asked = Asked { model, max_tokens: max_tokens(fields), ..Asked::default() };
    if let Some(system) = fields.get("systemInstruction") {
        read_content("system_instruction", system, &mut asked)?;
    }
    let contents = match fields.get("contents") {
        Some(Value::List(contents)) if !contents.is_empty() => contents,
        _ => return Err(ApiError::argument("contents", "contents is not specified")),
    };
    for (index, content) in contents.iter().enumerate() {
        let start = asked.texts.len();
        if read_content(&format!("contents[{index}]"), content, &mut asked)? {
            asked.prompt_from(start);
        }
    }
    Ok(asked)
}

/// Whether the content is the user's.
fn read_content<'a>(path: &str, content: &'a Value<'_>, asked: &mut Asked<'a>) -> Result<bool, ApiError> {
    let Value::Object(fields) = content else {
        return Err(ApiError::wrong_type(path, "an object"));
    };
    check_fields(path, fields, &["role", "parts"])?;
    let is_user = match fields.get("role") {
        None => true,
        Some(Value::Text(role)) => match role.as_ref() {
            "user" => true,
            "model" => false,
            // What the role of a system instruction says does not count.
            _ if path == "system_instruction" => false,
            _ => return Err(ApiError::invalid("Please use a valid role: user, model.")),
        },
        Some(_) => return Err(ApiError::wrong_type(&format!("{path}.role"), "a string")),
    };
    let parts = match fields.get("parts") {
        Some(Value::List(parts)) if !parts.is_empty() => parts,
        Some(Value::List(_)) | None => {
            return Err(ApiError::argument(&format!("{path}.parts"), "contents.parts must not be empty."));
        }
        Some(_) => return Err(ApiError::wrong_type(&format!("{path}.parts"), "an array")),
    };
    for (index, part) in parts.iter().enumerate() {
        read_part(&format!("{path}.parts[{index}]"), part, asked)?;
    }
    Ok(is_user)
}

fn read_part<'a>(path: &str, part: &'a Value<'_>, asked: &mut Asked<'a>) -> Result<(), ApiError> {
    let Value::Object(fields) = part else {
        return Err(ApiError::wrong_type(path, "an object"));
    };
    check_fields(path, fields, &PART_FIELDS)?;
    match fields.get("text") {
        Some(Value::Text(text)) => asked.texts.push(text),
        Some(_) => return Err(ApiError::wrong_type(&format!("{path}.text"), "a string")),
        None if fields.0.is_empty() => {
            return Err(ApiError::argument(&format!("{path}.data"), "required oneof field 'data' must be set"));
        }
        None => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Fields<'_> {
        match serde_json::from_str(body) {
            Ok(Value::Object(fields)) => fields,
            _ => panic!("not an object: {body}"),
        }
    }

    #[test]
    fn prompt_is_the_last_user_content_and_the_system_counts() {
        let body = r#"{"contents":[{"role":"user","parts":[{"text":"not this"}]},
            {"parts":[{"text":"a"},{"inlineData":{}},{"text":"b"}]},{"role":"model","parts":[{"text":"c"}]}],
            "systemInstruction":{"role":"system","parts":[{"text":"12345"}]},
            "generationConfig":{"maxOutputTokens":3,"temperature":2,"thinkingConfig":{"thinkingBudget":-1}}}"#;
        let fields = fields(body);
        let asked = read(&fields, "echo").expect("valid");
        assert_eq!((asked.model, asked.prompt().as_ref(), asked.max_tokens), ("echo", "ab", Some(3)));
        assert_eq!(asked.prompt_tokens(), 2 + 2 + 1 + 1 + 1);
    }

    #[test]
    fn invalid_requests_are_refused() {
        for (extra, reason) in [
            (r#""foo":1"#, "Unknown name \"foo\": Cannot"),
            (r#""system_instruction":{}"#, "Unknown name"),
            (r#""labels":{}"#, "Unknown name"),
            (r#""generationConfig":{"max_tokens":1}"#, "Unknown name \"max_tokens\" at 'generation_config'"),
            (
                r#""generationConfig":{"maxOutputTokens":"1"}"#,
                "'generation_config.maxOutputTokens': expected an integer",
            ),
            (r#""generationConfig":{"maxOutputTokens":0}"#, "below 1"),
            (r#""generationConfig":{"temperature":2.5}"#, "above 2"),
            (r#""generationConfig":{"candidateCount":2}"#, "only one candidate"),
            (r#""generationConfig":{"thinkingConfig":{"budget":1}}"#, "Unknown name \"budget\""),
            (r#""tools":[]"#, "not supported"),
            (r#""contents":[]"#, "contents is not specified"),
            (r#""contents":[1]"#, "'contents[0]': expected an object"),
            (r#""contents":[{"role":"system","parts":[{"text":"x"}]}]"#, "valid role"),
            (r#""contents":[{"parts":[]}]"#, "must not be empty"),
            (r#""contents":[{"parts":[{}]}]"#, "oneof"),
            (r#""contents":[{"parts":[{"txt":"x"}]}]"#, "at 'contents[0].parts[0]'"),
        ] {
            let body = format!(r#"{{"contents":[{{"parts":[{{"text":"x"}}]}}],{extra}}}"#);
            let error = read(&fields(&body), "echo").expect_err(extra);
            let error = serde_json::to_value(error).expect("serialises");
            assert_eq!((&error["code"], &error["status"]), (&400.into(), &"INVALID_ARGUMENT".into()), "{extra}");
            assert!(error["message"].as_str().expect("text").contains(reason), "{extra}: {error}");
        }
    }
}
