//! `batchGenerateContent` and `/batches`.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use serde_json::json;

use super::batch_object::{object, with_results};
use super::batch_wire::{GeminiBatches, HIDDEN};
use super::error::ApiError;
use super::files::{self, page, server};
use super::parameters::check_fields;
use crate::batch::{
    self, Full, Inline, Label, New, ProviderBatch, Received, Refusal, StoredFile, UploadError, Wire, receive_inline,
};
use crate::call::Call;
use crate::desk::parse;
use crate::family::Objection;
use crate::reply::Reply;
use crate::value::{Fields, Value};

/// After so long a provider batch expires as a whole.
const WINDOW: Duration = Duration::from_hours(48);

/// `POST /models/{model}:batchGenerateContent`
pub(super) async fn create(call: &Call<'_>, model: &str, body: Incoming, answered: bool) -> Result<Reply, ApiError> {
    if !call.config.models.contains_key(model) {
        return Err((&Objection::UnknownModel(model)).into());
    }
    let max_bytes = GeminiBatches::Inline.rules().max_bytes;
    let max_bytes = call.config.batch.max_bytes.map_or(max_bytes, |own| own.min(max_bytes));
    let received = receive_inline(call.sandbox, &call.config, body, max_bytes).await;
    let Inline { rest, requests } = received.map_err(|error| match error {
        UploadError::TooLarge(max_bytes) => {
            ApiError::invalid(format!("Request payload size exceeds the limit: {max_bytes} bytes."))
        }
        UploadError::Form(_) => ApiError::invalid(error.to_string()),
        UploadError::Io(error) => server(&error),
    })?;
    let fields = parse(&rest).map_err(|objection| ApiError::from(&objection))?;
    let new = new(call, model, &fields, requests, answered)?;
    let input = Arc::clone(&new.input);
    let created = batch::create_queued(call.sandbox, &call.config, new).await;
    let created = created.map_err(|refusal| {
        forget_hidden(call, &input);
        refused(&refusal)
    })?;
    Ok(Reply::json(&object(&created, call.sandbox.clock.now())))
}

fn new(
    call: &Call<'_>,
    model: &str,
    fields: &Fields<'_>,
    requests: Option<Received>,
    answered: bool,
) -> Result<New, ApiError> {
    check_fields("", fields, &["batch"])?;
    let batch = member(fields, "", "batch")?;
    check_fields("batch", batch, &["name", "model", "displayName", "inputConfig", "webhookConfig", "priority"])?;
    let display_name = batch.text("displayName").ok_or_else(|| required("batch.display_name"))?;
    let config = member(batch, "batch", "inputConfig")?;
    check_fields("batch.input_config", config, &["fileName", "requests"])?;
    let (wire, input) = match (config.get("fileName"), requests) {
        (Some(Value::Text(name)), None) if config.get("requests").is_none() => {
            (GeminiBatches::ByFile, input(call, name)?)
        }
        (None, Some(requests)) if has_list(config) && requests.lines > 0 => {
            (GeminiBatches::Inline, hidden(call, requests))
        }
        _ => return Err(required("batch.input_config, either file_name or requests.requests")),
    };
    Ok(New {
        wire: wire.wire(),
        key: call.key.clone(),
        input,
        endpoint: "generateContent".to_owned(),
        model: Some(model.to_owned()),
        details: json!({"display_name": display_name}),
        window: Some(WINDOW),
        tag: display_name.to_owned(),
        answered,
    })
}

fn member<'a>(fields: &'a Fields<'_>, path: &str, name: &str) -> Result<&'a Fields<'a>, ApiError> {
    match fields.get(name) {
        Some(Value::Object(fields)) => Ok(fields),
        Some(_) => Err(ApiError::wrong_type(&format!("{path}.{name}"), "an object")),
        None => Err(required(name)),
    }
}

fn required(name: &str) -> ApiError {
    ApiError::invalid(format!("* BatchGenerateContentRequest: {name} is required\n"))
}

/// Whether the requests stood where they belong: in a list in an object.
fn has_list(config: &Fields<'_>) -> bool {
    match config.get("requests") {
        Some(Value::Object(requests)) => matches!(requests.get("requests"), Some(Value::List(_))),
        _ => false,
    }
}

/// An uploaded file that is ready.
fn input(call: &Call<'_>, name: &str) -> Result<Arc<StoredFile>, ApiError> {
    let file = files::find(call, name)?;
    if !files::is_ready(call, &file) {
        let message = format!("The File {name} is not in an ACTIVE state and usage is not allowed.");
        return Err(ApiError::new(400, "FAILED_PRECONDITION", message));
    }
    Ok(file)
}

/// Requests of a call, in a file that no client sees.
fn hidden(call: &Call<'_>, requests: Received) -> Arc<StoredFile> {
    let label = Label {
        name: String::new(),
        purpose: HIDDEN.to_owned(),
        bytes: requests.bytes,
        lines: Some(requests.lines),
        created_ms: call.sandbox.clock.now().unix_ms,
        expires_ms: None,
    };
    call.sandbox.batches.files.keep(&GeminiBatches::Inline, requests.place, label)
}

fn forget_hidden(call: &Call<'_>, file: &StoredFile) {
    if file.purpose == HIDDEN {
        call.sandbox.batches.files.delete(GeminiBatches::Inline.family(), &file.id);
    }
}

fn refused(refusal: &Refusal) -> ApiError {
    let exhausted = |message: &str| ApiError::new(429, "RESOURCE_EXHAUSTED", message.to_owned());
    match refusal {
        Refusal::Full(Full::Creations { limit, .. }) => exhausted(&format!("More than {limit} batches in an hour.")),
        Refusal::Full(Full::Batches { limit }) => exhausted(&format!("More than {limit} concurrent batches.")),
        Refusal::TokenLimit => exhausted("You exceeded your current quota of enqueued tokens."),
        Refusal::Invalid(problems) => {
            ApiError::invalid(problems.first().map_or_else(String::new, |problem| problem.message.clone()))
        }
        Refusal::Io(error) => server(error),
    }
}

/// `GET /batches/{id}`
pub(super) async fn get(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let batch = find(call, id)?;
    let now = call.sandbox.clock.now();
    if !batch::poll(&batch, &call.config, now) {
        return Err(ApiError::new(429, "RESOURCE_EXHAUSTED", "This batch is polled too often."));
    }
    // This poll may be the one that loses it.
    let batch = if batch.is_lost() { find(call, id)? } else { batch };
    let operation = with_results(&batch, now).await.map_err(|error| server(&error))?;
    Ok(Reply::json(&operation))
}

/// `GET /batches`, newest first.
pub(super) fn list(call: &Call<'_>) -> Result<Reply, ApiError> {
    let all = batch::list(call, GeminiBatches::ByFile.family()).map_err(|error| server(&error))?;
    let now = call.sandbox.clock.now();
    page(call, "operations", &all, |batch| batch.number, |batch| object(batch, now))
}

/// `POST /batches/{id}:cancel`; without effect on what has ended.
pub(super) fn cancel(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let batch = find(call, id)?;
    if !batch.stage().has_ended() {
        batch::cancel(call.sandbox, &batch).map_err(|error| server(&error))?;
    }
    Ok(Reply::json(&json!({})))
}

/// `DELETE /batches/{id}`
pub(super) fn delete(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let batch = find(call, id)?;
    if !batch.stage().has_ended() {
        return Err(ApiError::new(400, "FAILED_PRECONDITION", format!("{} is still running.", batch.id)));
    }
    let results = batch.view(call.sandbox.clock.now().instant).results.output;
    for file in [Some(&batch.input), results.as_ref()].into_iter().flatten() {
        forget_hidden(call, file);
    }
    call.sandbox.batches.forget(&batch.id);
    Ok(Reply::json(&json!({})))
}

fn find(call: &Call<'_>, id: &str) -> Result<Arc<ProviderBatch>, ApiError> {
    let (id, now) = (format!("batches/{id}"), call.sandbox.clock.now());
    let batch = call.sandbox.batches.get(GeminiBatches::ByFile.family(), &id, &call.config, now);
    batch.ok_or_else(|| ApiError::new(404, "NOT_FOUND", format!("Requested entity was not found: {id}")))
}
