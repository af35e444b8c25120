//! `/batches`.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use serde_json::{Map, json};

use super::OpenAi;
use super::batch_object::object;
use super::error::ApiError;
use super::files::is_ready;
use super::page::Page;
use crate::batch::{self, Full, New, ProviderBatch, Refusal, StoredFile};
use crate::call::{self, Call};
use crate::desk::parse;
use crate::limits::Limit;
use crate::reply::Reply;
use crate::value::{Fields, Value};

/// The largest creation read.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What the sandbox answers in a provider batch.
const ENDPOINT: &str = "/v1/chat/completions";

const FIELDS: [&str; 5] = ["input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"];

/// `POST /batches`
pub(super) async fn create(call: &Call<'_>, openai: OpenAi, body: Incoming, answered: bool) -> Result<Reply, Reply> {
    let body = call::read(body, MAX_BODY_BYTES).await.map_err(|_| ApiError::too_large(MAX_BODY_BYTES))?;
    let fields = parse(&body).map_err(|objection| ApiError::from(&objection))?;
    let new = new(call, openai, &fields, answered)?;
    let created = batch::create(call.sandbox, &call.config, new).map_err(refused)?;
    Ok(Reply::json(&object(openai, &created, call.sandbox.clock.now())))
}

fn new(call: &Call<'_>, openai: OpenAi, fields: &Fields<'_>, answered: bool) -> Result<New, ApiError> {
    if let Some((name, _)) = fields.0.iter().find(|(name, _)| !FIELDS.contains(&name.as_ref())) {
        let message = format!("Unknown parameter: '{name}'.");
        return Err(ApiError::parameter(name, "unknown_parameter", message));
    }
    let endpoint = text(fields, "endpoint")?;
    let bare = openai == OpenAi::Azure && endpoint == "/chat/completions";
    if endpoint != ENDPOINT && !bare {
        return Err(ApiError::not_one_of("endpoint", endpoint, &[ENDPOINT]));
    }
    let window_text = text(fields, "completion_window")?;
    let window = window(call, openai, window_text)?;
    check_output_life(openai, fields)?;
    let metadata = metadata(fields)?;
    let input = input(call, openai, text(fields, "input_file_id")?)?;
    let tag = metadata.as_ref().map_or_else(|| input.name.clone(), |metadata| json!(metadata).to_string());
    Ok(New {
        wire: openai.wire(),
        key: call.key.clone(),
        input,
        endpoint: endpoint.to_owned(),
        model: None,
        details: json!({"completion_window": window_text, "metadata": metadata}),
        window,
        tag,
        answered,
    })
}

fn text<'a>(fields: &'a Fields<'_>, name: &str) -> Result<&'a str, ApiError> {
    match fields.get(name) {
        Some(Value::Text(text)) => Ok(text),
        Some(other) => Err(ApiError::wrong_type(name, "a string", other)),
        None => Err(ApiError::missing(name)),
    }
}

fn input(call: &Call<'_>, openai: OpenAi, id: &str) -> Result<Arc<StoredFile>, ApiError> {
    let invalid = |message| ApiError::invalid(400, message, Some("input_file_id"), None);
    let file = call.sandbox.batches.files.get(openai.name(), id);
    let file = file.ok_or_else(|| invalid(format!("No such File object: {id}")))?;
    if file.purpose != "batch" {
        return Err(invalid(format!("The file {id} has the purpose '{}', not 'batch'.", file.purpose)));
    }
    if openai == OpenAi::Azure && !is_ready(call, &file) {
        return Err(invalid(format!("The file {id} is not processed yet.")));
    }
    Ok(file)
}

/// Until the expiry; None where there is none.
fn window(call: &Call<'_>, openai: OpenAi, text: &str) -> Result<Option<Duration>, ApiError> {
    let duration = duration(text);
    let allowed = match &call.config.batch.allow_completion_window {
        Some(allowed) => allowed.iter().any(|allowed| allowed == text),
        None if openai == OpenAi::Groq => duration.is_some_and(|duration| GROQ_WINDOWS.contains(&duration)),
        None => text == "24h",
    };
    if !allowed {
        let message = format!("Invalid 'completion_window': '{text}' is not supported.");
        return Err(ApiError::parameter("completion_window", "invalid_value", message));
    }
    Ok(Some(duration.unwrap_or(DAY)).filter(|_| openai != OpenAi::Azure))
}

const DAY: Duration = Duration::from_hours(24);

const GROQ_WINDOWS: std::ops::RangeInclusive<Duration> = DAY..=Duration::from_hours(7 * 24);

/// Of `24h`, `7d` and the like.
fn duration(text: &str) -> Option<Duration> {
    let hours = |number: &str, each: u64| Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(each)?));
    match text.strip_suffix('h') {
        Some(number) => hours(number, 3600),
        None => hours(text.strip_suffix('d')?, 24 * 3600),
    }
}

fn check_output_life(openai: OpenAi, fields: &Fields<'_>) -> Result<(), ApiError> {
    let least = if openai == OpenAi::Azure { 1_209_600 } else { 3_600 };
    let Some(value) = fields.get("output_expires_after") else {
        return Ok(());
    };
    let Value::Object(life) = value else {
        return Err(ApiError::wrong_type("output_expires_after", "an object", value));
    };
    let anchor = text(life, "anchor")?;
    if anchor != "created_at" {
        return Err(ApiError::not_one_of("output_expires_after.anchor", anchor, &["created_at"]));
    }
    match life.get("seconds") {
        Some(Value::Integer(seconds)) if (least..=2_592_000).contains(seconds) => Ok(()),
        _ => {
            let message = format!("Invalid 'output_expires_after.seconds': expected {least} to 2592000.");
            Err(ApiError::parameter("output_expires_after.seconds", "invalid_value", message))
        }
    }
}

/// At most 16 pairs of strings, of 64 and 512 characters.
fn metadata(fields: &Fields<'_>) -> Result<Option<Map<String, serde_json::Value>>, ApiError> {
    let Some(value) = fields.get("metadata") else {
        return Ok(None);
    };
    let Value::Object(pairs) = value else {
        return Err(ApiError::wrong_type("metadata", "an object", value));
    };
    let invalid =
        |message: &str| ApiError::parameter("metadata", "invalid_value", format!("Invalid 'metadata': {message}."));
    if pairs.0.len() > 16 {
        return Err(invalid("at most 16 pairs are allowed"));
    }
    let mut metadata = Map::new();
    for (key, value) in &pairs.0 {
        let Value::Text(value) = value else {
            return Err(ApiError::wrong_type(&format!("metadata.{key}"), "a string", value));
        };
        if key.chars().count() > 64 || value.chars().count() > 512 {
            return Err(invalid("keys have at most 64 characters and values at most 512"));
        }
        metadata.insert(key.to_string(), json!(value));
    }
    Ok(Some(metadata))
}

fn refused(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Full(Full::Creations { limit, retry_after }) => {
            let detail = format!("on batch creations per hour: Limit {limit}");
            let seconds = retry_after.as_secs() + 1;
            Reply::from(ApiError::rate_limit(Limit::Requests, &detail)).with_header("retry-after", &seconds.to_string())
        }
        Refusal::Full(Full::Batches { limit }) => {
            let detail = format!("on batches that have not ended: Limit {limit}");
            ApiError::rate_limit(Limit::Requests, &detail).into()
        }
        Refusal::Io(error) => ApiError::server(error.to_string()).into(),
        // OpenAI validates later.
        Refusal::Invalid(_) | Refusal::TokenLimit => ApiError::server("unexpected".to_owned()).into(),
    }
}

/// `GET /batches/{id}`
pub(super) fn get(call: &Call<'_>, openai: OpenAi, id: &str) -> Result<Reply, ApiError> {
    let batch = find(call, openai, id)?;
    let now = call.sandbox.clock.now();
    if !batch::poll(&batch, &call.config, now) {
        let detail = format!("on polls of {id}: one in {} ms", call.config.batch.min_poll_ms);
        return Err(ApiError::rate_limit(Limit::Requests, &detail));
    }
    // This poll may be the one that loses it.
    let batch = if batch.is_lost() { find(call, openai, id)? } else { batch };
    Ok(Reply::json(&object(openai, &batch, now)))
}

/// `GET /batches`
pub(super) fn list(call: &Call<'_>, openai: OpenAi) -> Result<Reply, ApiError> {
    let now = call.sandbox.clock.now();
    let batches = batch::list(call, openai.name()).map_err(|_| ApiError::log_failed())?;
    let page = Page::new(call, &batches, |batch| &batch.id, 20, 100)?;
    Ok(page.reply(|batch| object(openai, batch, now)))
}

/// `POST /batches/{id}/cancel`
pub(super) fn cancel(call: &Call<'_>, openai: OpenAi, id: &str) -> Result<Reply, ApiError> {
    let batch = find(call, openai, id)?;
    if batch.stage().has_ended() {
        let message = format!("Cannot cancel a batch with status '{}'.", batch.stage().name());
        return Err(ApiError::invalid(400, message, None, None));
    }
    batch::cancel(call.sandbox, &batch).map_err(|_| ApiError::log_failed())?;
    Ok(Reply::json(&object(openai, &batch, call.sandbox.clock.now())))
}

fn find(call: &Call<'_>, openai: OpenAi, id: &str) -> Result<Arc<ProviderBatch>, ApiError> {
    let now = call.sandbox.clock.now();
    let batch = call.sandbox.batches.get(openai.name(), id, &call.config, now);
    batch.ok_or_else(|| ApiError::invalid(404, format!("No batch found with id '{id}'."), None, None))
}
