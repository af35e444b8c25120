//! The body of a message request, checked as strictly as Anthropic does.

use super::Version;
use super::error::ApiError;
use super::parameters::{self, check_fields};
use crate::asked::Asked;
use crate::value::{Fields, Value};

/// The blocks of a message's content that are no text, as Anthropic's SDK of November 2026 names them.
const OTHER_BLOCKS: [&str; 12] = [
    "image",
    "document",
    "search_result",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "container_upload",
];

const EMPTY: &str = "all messages must have non-empty content except for the optional final assistant message";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
}

/// Checks and reads a request, in real time or in a provider batch.
pub(super) fn read<'a>(fields: &'a Fields<'_>, version: Version, in_batch: bool) -> Result<Asked<'a>, ApiError> {
    parameters::check(fields, version)?;
    if in_batch {
        parameters::check_in_batch(fields)?;
    }
    let model = fields.text("model").ok_or_else(|| ApiError::missing("model"))?;
    let Some(Value::Integer(max_tokens)) = fields.get("max_tokens") else {
        return Err(ApiError::missing("max_tokens"));
    };
    let messages = match fields.get("messages") {
        Some(Value::List(messages)) => messages,
        Some(_) => return Err(ApiError::wrong_type("messages", "a valid list")),
        None => return Err(ApiError::missing("messages")),
    };
    if messages.is_empty() {
        return Err(ApiError::invalid("messages: at least one message is required".to_owned()));
    }
    let mut reader = Reader { asked: Asked { model, ..Asked::default() }, version };
    reader.asked.max_tokens = u64::try_from(*max_tokens).ok();
    if let Some(system) = fields.get("system") {
        reader.content("system", Role::System, system)?;
    }
    for (index, message) in messages.iter().enumerate() {
        reader.message(&format!("messages.{index}"), message, index + 1 == messages.len())?;
    }
    Ok(reader.asked)
}

struct Reader<'a> {
    asked: Asked<'a>,
    version: Version,
}

impl<'a> Reader<'a> {
    fn message(&mut self, path: &str, message: &'a Value<'_>, is_last: bool) -> Result<(), ApiError> {
        let Value::Object(fields) = message else {
            return Err(ApiError::wrong_type(path, "an object"));
        };
        check_fields(path, fields, &["role", "content"])?;
        let role = match fields.get("role") {
            Some(Value::Text(role)) if role == "user" => Role::User,
            Some(Value::Text(role)) if role == "assistant" => Role::Assistant,
            Some(Value::Text(role)) if role == "system" => {
                let message = "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` \
                               parameter, not \"system\" as an input message role.";
                return Err(ApiError::invalid(message.to_owned()));
            }
            Some(_) => return Err(ApiError::wrong_type(&format!("{path}.role"), "'user' or 'assistant'")),
            None => return Err(ApiError::missing(&format!("{path}.role"))),
        };
        let content = fields.get("content").ok_or_else(|| ApiError::missing(&format!("{path}.content")))?;
        let is_empty = match content {
            Value::Text(text) => text.is_empty(),
            Value::List(blocks) => blocks.is_empty(),
            _ => false,
        };
        if is_empty && !(is_last && role == Role::Assistant) {
            return Err(ApiError::invalid(format!("{path}: {EMPTY}")));
        }
        let start = self.asked.texts.len();
        self.content(&format!("{path}.content"), role, content)?;
        if role == Role::User {
            self.asked.prompt_from(start);
        }
        Ok(())
    }

    /// A text, or a list of blocks.
    fn content(&mut self, path: &str, role: Role, content: &'a Value<'_>) -> Result<(), ApiError> {
        match content {
            Value::Text(text) => self.asked.texts.push(text),
            Value::List(blocks) => {
                for (index, block) in blocks.iter().enumerate() {
                    self.block(&format!("{path}.{index}"), role, block)?;
                }
            }
            _ => return Err(ApiError::wrong_type(path, "a valid string or a valid list")),
        }
        Ok(())
    }

    fn block(&mut self, path: &str, role: Role, block: &'a Value<'_>) -> Result<(), ApiError> {
        let Value::Object(fields) = block else {
            return Err(ApiError::wrong_type(path, "an object"));
        };
        let kind = fields.text("type").ok_or_else(|| ApiError::missing(&format!("{path}.type")))?;
        let is_2026 = self.version == Version::Of2026;
        match kind {
            "text" => {
                check_fields(path, fields, &["type", "text", "cache_control", "citations"])?;
                if is_2026 && role == Role::User && fields.get("citations").is_some() {
                    return Err(ApiError::invalid(format!("{path}.citations: not supported in user messages")));
                }
                let text = fields.text("text").ok_or_else(|| ApiError::missing(&format!("{path}.text")))?;
                if text.is_empty() {
                    return Err(ApiError::invalid("messages: text content blocks must be non-empty".to_owned()));
                }
                self.asked.texts.push(text);
                Ok(())
            }
            "document" if is_2026 && role == Role::Assistant => {
                Err(ApiError::invalid(format!("{path}: documents are not supported in assistant messages")))
            }
            kind if role != Role::System && OTHER_BLOCKS.contains(&kind) => Ok(()),
            kind => Err(ApiError::invalid(format!("{path}: Input tag '{kind}' does not match any expected tag"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message of the error, or None for a valid request.
    fn refused(version: Version, body: &str) -> Option<String> {
        let Ok(Value::Object(fields)) = serde_json::from_str(body) else {
            panic!("not an object: {body}");
        };
        let error = read(&fields, version, false).err()?;
        let error = serde_json::to_value(error).expect("serialises");
        assert_eq!(error["type"], "invalid_request_error");
        error["message"].as_str().map(str::to_owned)
    }

    fn with(extra: &str) -> String {
        format!(r#"{{"model":"echo","max_tokens":9,"messages":[{{"role":"user","content":"x"}}],{extra}}}"#)
    }

    #[test]
    fn prompt_is_the_last_user_message_and_the_system_counts() {
        let body = r#"{"model":"echo","max_tokens":3,"system":[{"type":"text","text":"12345"}],"messages":[
            {"role":"user","content":"not this"},{"role":"user","content":[{"type":"text","text":"a"},
            {"type":"image","source":{}},{"type":"text","text":"b"}]},{"role":"assistant","content":""}],
            "metadata":{"user_id":"u"},"temperature":1,"top_k":3,"stream":false,"stop_sequences":["x"]}"#;
        let Ok(Value::Object(fields)) = serde_json::from_str(body) else {
            panic!("not an object");
        };
        let asked = read(&fields, Version::Of2023, false).expect("valid");
        assert_eq!((asked.prompt().as_ref(), asked.prompt_tokens(), asked.max_tokens), ("ab", 2 + 2 + 1 + 1, Some(3)));
    }

    #[test]
    fn invalid_requests_are_refused() {
        for (extra, reason) in [
            (r#""foo":1"#, "foo: Extra inputs"),
            (r#""metadata":{"a":1}"#, "metadata.a: Extra inputs"),
            (r#""max_tokens":null"#, "max_tokens: Field required"),
            (r#""max_tokens":-1"#, "max_tokens: Input should be greater"),
            (r#""temperature":1.5"#, "temperature: Input should be less"),
            (r#""stream":true"#, "stream: not supported"),
            (r#""tools":[]"#, "tools: not supported"),
            (r#""stop_sequences":[1]"#, "stop_sequences: Input should be"),
            (r#""system":[{"type":"image"}]"#, "system.0: Input tag 'image'"),
            (r#""messages":[]"#, "messages: at least one"),
            (r#""messages":"x""#, "messages: Input should be"),
            (r#""messages":[{"role":"system","content":"x"}]"#, "messages: Unexpected role"),
            (r#""messages":[{"role":"me","content":"x"}]"#, "messages.0.role: Input should be"),
            (r#""messages":[{"role":"user"}]"#, "messages.0.content: Field required"),
            (r#""messages":[{"role":"user","content":""}]"#, "messages.0: all messages must"),
            (r#""messages":[{"role":"user","content":"x","name":"y"}]"#, "messages.0.name: Extra inputs"),
            (r#""messages":[{"role":"user","content":[{"type":"text","text":""}]}]"#, "messages: text content blocks"),
            (r#""messages":[{"role":"user","content":[{"type":"txt"}]}]"#, "messages.0.content.0: Input tag"),
        ] {
            let message = refused(Version::Of2023, &with(extra)).expect(extra);
            assert!(message.starts_with(reason), "{extra}: {message}");
        }
    }

    #[test]
    fn provider_batch_refuses_more() {
        for extra in [r#""speed":"fast""#, r#""store":true"#, r#""max_tokens":0"#] {
            let body = with(extra);
            let Ok(Value::Object(fields)) = serde_json::from_str(&body) else {
                panic!("not an object: {body}");
            };
            assert!(read(&fields, Version::Of2023, true).is_err(), "{extra}");
            assert!(read(&fields, Version::Of2023, false).is_ok(), "{extra}");
        }
    }

    #[test]
    fn version_of_2026_refuses_more() {
        let document =
            r#""messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"document"}]}]"#;
        let citations = r#""messages":[{"role":"user","content":[{"type":"text","text":"x","citations":[]}]}]"#;
        for extra in [r#""temperature":1"#, r#""top_p":1"#, r#""top_k":1"#, document, citations] {
            assert!(refused(Version::Of2026, &with(extra)).is_some(), "{extra}");
            assert_eq!(refused(Version::Of2023, &with(extra)), None, "{extra}");
        }
        assert_eq!(refused(Version::Of2026, &with(r#""service_tier":"auto""#)), None);
    }
}
