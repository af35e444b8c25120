//! The body of a chat completion request, checked as strictly as OpenAI does.

use super::error::ApiError;
use super::parameters;
use crate::asked::Asked;
use crate::value::{Fields, Value};

const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];
const PARTS: [&str; 5] = ["text", "image_url", "input_audio", "file", "refusal"];

/// Checks and reads a request.
pub(super) fn read<'a>(fields: &'a Fields<'_>) -> Result<Asked<'a>, ApiError> {
    parameters::check(fields)?;
    let max_tokens = max_tokens(fields)?;
    Ok(Asked { max_tokens, ..read_messages(fields)? })
}

/// Reads model and messages.
pub(crate) fn read_messages<'a>(fields: &'a Fields<'_>) -> Result<Asked<'a>, ApiError> {
    let model = match fields.get("model") {
        Some(Value::Text(model)) => model,
        Some(other) => return Err(ApiError::wrong_type("model", "a string", other)),
        None => return Err(ApiError::missing("model")),
    };
    let messages = match fields.get("messages") {
        Some(Value::List(messages)) => messages,
        Some(other) => return Err(ApiError::wrong_type("messages", "an array of objects", other)),
        None => return Err(ApiError::missing("messages")),
    };
    if messages.is_empty() {
        let message = "Invalid 'messages': expected at least one message, but got an empty array.";
        return Err(ApiError::parameter("messages", "empty_array", message.to_owned()));
    }
    let texts = Vec::with_capacity(messages.len());
    let mut asked = Asked { model, texts, ..Asked::default() };
    for (index, message) in messages.iter().enumerate() {
        read_message(index, message, &mut asked)?;
    }
    Ok(asked)
}

fn read_message<'a>(index: usize, value: &'a Value<'_>, asked: &mut Asked<'a>) -> Result<(), ApiError> {
    let path = || format!("messages[{index}]");
    let Value::Object(fields) = value else {
        return Err(ApiError::wrong_type(&path(), "an object", value));
    };
    for (name, _) in &fields.0 {
        match name.as_ref() {
            "role" | "content" | "name" | "refusal" | "audio" | "tool_calls" | "tool_call_id" | "function_call" => {}
            other => {
                let param = format!("{}.{other}", path());
                let message = format!("Unknown parameter: '{param}'.");
                return Err(ApiError::parameter(&param, "unknown_parameter", message));
            }
        }
    }
    let role = match fields.get("role") {
        Some(Value::Text(role)) if ROLES.contains(&role.as_ref()) => role.as_ref(),
        Some(Value::Text(role)) => {
            return Err(ApiError::not_one_of(&format!("{}.role", path()), role, &ROLES));
        }
        Some(other) => return Err(ApiError::wrong_type(&format!("{}.role", path()), "a string", other)),
        None => return Err(ApiError::missing(&format!("{}.role", path()))),
    };
    let start = asked.texts.len();
    read_content(&format!("{}.content", path()), role, fields.get("content"), asked)?;
    if role == "user" {
        asked.prompt_from(start);
    }
    Ok(())
}

fn read_content<'a>(
    path: &str,
    role: &str,
    content: Option<&'a Value<'_>>,
    asked: &mut Asked<'a>,
) -> Result<(), ApiError> {
    match content {
        Some(Value::Text(text)) => asked.texts.push(text),
        Some(Value::List(parts)) => {
            for (index, part) in parts.iter().enumerate() {
                asked.texts.extend(part_text(&format!("{path}[{index}]"), part)?);
            }
        }
        // An assistant message may hold only a tool call.
        None if role == "assistant" => {}
        None => return Err(ApiError::missing(path)),
        Some(other) => return Err(ApiError::wrong_type(path, "a string or an array of objects", other)),
    }
    Ok(())
}

fn part_text<'a>(path: &str, part: &'a Value<'_>) -> Result<Option<&'a str>, ApiError> {
    let Value::Object(fields) = part else {
        return Err(ApiError::wrong_type(path, "an object", part));
    };
    match fields.get("type") {
        Some(Value::Text(kind)) if kind == "text" => match fields.get("text") {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(ApiError::wrong_type(&format!("{path}.text"), "a string", other)),
            None => Err(ApiError::missing(&format!("{path}.text"))),
        },
        Some(Value::Text(kind)) if PARTS.contains(&kind.as_ref()) => Ok(None),
        Some(Value::Text(kind)) => Err(ApiError::not_one_of(&format!("{path}.type"), kind, &PARTS)),
        Some(other) => Err(ApiError::wrong_type(&format!("{path}.type"), "a string", other)),
        None => Err(ApiError::missing(&format!("{path}.type"))),
    }
}

fn max_tokens(fields: &Fields<'_>) -> Result<Option<u64>, ApiError> {
    let (new, old) = (fields.get("max_completion_tokens"), fields.get("max_tokens"));
    if new.is_some() && old.is_some() {
        let message = "Setting both 'max_tokens' and 'max_completion_tokens' is not supported.";
        return Err(ApiError::parameter("max_tokens", "invalid_parameter_combination", message.to_owned()));
    }
    match new.or(old) {
        Some(Value::Integer(number)) => Ok(u64::try_from(*number).ok()),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code and parameter of the error for a body that lacks nothing but what `extra` adds.
    fn refused(extra: &str) -> (Option<String>, Option<String>) {
        let body = format!(r#"{{"model":"echo","messages":[{{"role":"user","content":"x"}}],{extra}}}"#);
        refused_body(&body)
    }

    fn refused_body(body: &str) -> (Option<String>, Option<String>) {
        let Ok(Value::Object(fields)) = serde_json::from_str(body) else {
            panic!("not an object: {body}");
        };
        let error = read(&fields).expect_err(body);
        assert_eq!(error.status, 400);
        (error.code.map(String::from), error.param)
    }

    fn some(code: &str, param: &str) -> (Option<String>, Option<String>) {
        (Some(code.to_owned()), Some(param.to_owned()))
    }

    #[test]
    fn prompt_is_all_text_parts_of_the_last_user_message() {
        let body = r#"{"model":"echo","max_tokens":3,"seed":1,"temperature":1,"stop":["a"],"n":1,"stream":false,
            "tools":null,"messages":[
            {"role":"system","content":"12345"},{"role":"user","content":"not this"},
            {"role":"user","content":[{"type":"text","text":"a\u0062"},{"type":"image_url","image_url":{}},
                                      {"type":"text","text":"c"}]},
            {"role":"assistant","content":null}]}"#;
        let Ok(Value::Object(fields)) = serde_json::from_str(body) else {
            panic!("not an object");
        };
        let request = read(&fields).expect("valid");
        assert_eq!(request.prompt(), "abc");
        assert_eq!((request.prompt_tokens(), request.max_tokens), (6, Some(3)));
    }

    #[test]
    fn unknown_and_unsupported_parameters_are_refused() {
        assert_eq!(refused(r#""foo":1"#), (None, None));
        for name in ["n", "stream", "tools"] {
            let extra = format!(r#""{name}":{}"#, if name == "stream" { "true" } else { "[2]" });
            assert_eq!(refused(&extra), some("unsupported_parameter", name));
        }
    }

    #[test]
    fn parameters_out_of_range_or_of_a_wrong_type_are_refused() {
        for (extra, code, param) in [
            (r#""temperature":2.5"#, "decimal_above_max_value", "temperature"),
            (r#""top_p":-1"#, "decimal_below_min_value", "top_p"),
            (r#""max_tokens":0"#, "integer_below_min_value", "max_tokens"),
            (r#""max_tokens":"9""#, "invalid_type", "max_tokens"),
            (r#""stop":[1]"#, "invalid_type", "stop"),
            (r#""max_tokens":1,"max_completion_tokens":1"#, "invalid_parameter_combination", "max_tokens"),
            (r#""model":7"#, "invalid_type", "model"),
            (r#""messages":"hi""#, "invalid_type", "messages"),
            (r#""messages":[]"#, "empty_array", "messages"),
            (r#""messages":[1]"#, "invalid_type", "messages[0]"),
            (r#""messages":[{"content":"x"}]"#, "missing_required_parameter", "messages[0].role"),
            (r#""messages":[{"role":"user"}]"#, "missing_required_parameter", "messages[0].content"),
            (r#""messages":[{"role":"me","content":"x"}]"#, "invalid_value", "messages[0].role"),
            (r#""messages":[{"role":"user","content":7}]"#, "invalid_type", "messages[0].content"),
            (r#""messages":[{"role":"user","content":"x","y":1}]"#, "unknown_parameter", "messages[0].y"),
            (
                r#""messages":[{"role":"user","content":[{"type":"text"}]}]"#,
                "missing_required_parameter",
                "messages[0].content[0].text",
            ),
        ] {
            assert_eq!(refused(extra), some(code, param), "{extra}");
        }
        assert_eq!(refused_body("{}"), some("missing_required_parameter", "model"));
    }
}
