//! The messages of a line.

use serde_json::{Map, Value};

use super::unsupported;
use crate::outcome::ItemError;
use crate::prompt::{Message, Role};
use crate::template::RenderError;

/// The messages, in order, without system messages that are blank.
pub(super) fn read(value: Value) -> Result<Vec<Message>, ItemError> {
    let Value::Array(values) = value else {
        return Err(unsupported("body.messages", "it must be a list"));
    };
    let mut messages = Vec::with_capacity(values.len());
    for (position, value) in values.into_iter().enumerate() {
        messages.push(message(value, &format!("body.messages.{position}"))?);
    }
    messages.retain(|message| message.role != Role::System || !is_blank(&message.text));
    if messages.iter().any(|message| message.role == Role::User && !is_blank(&message.text)) {
        return Ok(messages);
    }
    Err(ItemError::new(RenderError::Empty.code(), "no message of the role `user` has a text"))
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn message(value: Value, name: &str) -> Result<Message, ItemError> {
    let mut fields = object(value, name)?;
    let role = match fields.remove("role").as_ref().and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => {
            return Err(unsupported(
                &format!("{name}.role"),
                "it must be `system`, `developer`, `user` or `assistant`",
            ));
        }
    };
    let text = match fields.remove("content") {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => {
            let parts = parts.into_iter().enumerate();
            parts
                .map(|(position, value)| part(value, &format!("{name}.content.{position}")))
                .collect::<Result<_, _>>()?
        }
        _ => return Err(unsupported(&format!("{name}.content"), "it must be a text or a list of parts")),
    };
    finish(&fields, name)?;
    Ok(Message { role, text })
}

fn part(value: Value, name: &str) -> Result<String, ItemError> {
    let mut fields = object(value, name)?;
    if fields.remove("type").as_ref().and_then(Value::as_str) != Some("text") {
        return Err(unsupported(&format!("{name}.type"), "it must be `text`"));
    }
    let Some(Value::String(text)) = fields.remove("text") else {
        return Err(unsupported(&format!("{name}.text"), "it must be a text"));
    };
    finish(&fields, name)?;
    Ok(text)
}

fn object(value: Value, name: &str) -> Result<Map<String, Value>, ItemError> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(unsupported(name, "it must be an object")),
    }
}

/// Nothing is left; nulls say nothing.
fn finish(fields: &Map<String, Value>, name: &str) -> Result<(), ItemError> {
    match fields.iter().find(|(_, value)| !value.is_null()) {
        Some((field, _)) => Err(unsupported(&format!("{name}.{field}"), "a message has a role and a content")),
        None => Ok(()),
    }
}
