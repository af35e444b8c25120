//! A line of OpenAI's batch files: a row that brings its own request.

mod messages;
mod params;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::job::spec::Params;
use crate::outcome::ItemError;
use crate::prompt::Message;

/// What one line asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct LineRequest {
    pub messages: Vec<Message>,
    /// What the line itself sets, and nothing else.
    pub params: Params,
}

/// What a line's `model` may say, and how much it may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineModel {
    /// The job's: `{provider}/{model}`.
    pub name: String,
    /// The provider's own name of it; `None` where it isn't known now.
    pub upstream: Option<String>,
    pub max_output_tokens: Option<u32>,
}

/// The one endpoint whose requests are taken.
pub const URL: &str = "/v1/chat/completions";

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    custom_id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// The line's `custom_id`; `None` if there is none, or it is no text or an empty one.
pub fn custom_id(line: &str) -> Option<String> {
    text(serde_json::from_str::<Line<'_>>(line).ok()?.custom_id).filter(|id| !id.is_empty())
}

/// Reads a line's request. `model` is checked where it is given. Names beside OpenAI's four are the caller's own.
///
/// # Errors
/// `custom_id_required`, `unsupported_parameter` with the name, `prompt_empty`, and `invalid_json` where it is no line at all.
pub fn read(line: &str, model: Option<&LineModel>) -> Result<LineRequest, ItemError> {
    let invalid = |error: serde_json::Error| ItemError::new("invalid_json", error.to_string());
    if custom_id(line).is_none() {
        return Err(ItemError::new("custom_id_required", "`custom_id` is missing, or is no text"));
    }
    let line: Line<'_> = serde_json::from_str(line).map_err(invalid)?;
    if text(line.method).as_deref() != Some("POST") {
        return Err(unsupported("method", "it must be `POST`"));
    }
    if text(line.url).as_deref() != Some(URL) {
        return Err(unsupported("url", &format!("it must be `{URL}`")));
    }
    let body: Option<Map<String, Value>> = line.body.and_then(|body| serde_json::from_str(body.get()).ok());
    let mut body = body.ok_or_else(|| unsupported("body", "it must be an object"))?;
    let asked = body.remove("model").unwrap_or_default();
    if let Some(model) = model {
        check_model(&asked, model)?;
    }
    let messages = messages::read(body.remove("messages").unwrap_or_default())?;
    let params = params::read(&mut body)?;
    if let Some(most) =
        model.and_then(|model| model.max_output_tokens).filter(|most| params.max_output_tokens > Some(*most))
    {
        return Err(unsupported("body.max_completion_tokens", &format!("the model writes at most {most} tokens")));
    }
    match body.keys().next() {
        Some(name) => Err(unsupported(&format!("body.{name}"), "it is not among those that every provider has")),
        None => Ok(LineRequest { messages, params }),
    }
}

fn check_model(asked: &Value, model: &LineModel) -> Result<(), ItemError> {
    let known = [Some(&model.name), model.upstream.as_ref()];
    if known.into_iter().flatten().any(|name| asked.as_str() == Some(name)) {
        return Ok(());
    }
    Err(unsupported("body.model", &format!("the job's model is `{}`, and the line asks for {asked}", model.name)))
}

fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

fn unsupported(name: &str, why: &str) -> ItemError {
    ItemError::new("unsupported_parameter", format!("`{name}` can't be used: {why}"))
}

#[cfg(test)]
mod tests;
