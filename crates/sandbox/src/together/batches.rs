//! `/v1/batches`.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use super::Together;
use super::error::BatchError;
use super::job_object::object;
use crate::batch::{self, Full, New, ProviderBatch, Refusal, Wire};
use crate::call::{self, Call};
use crate::reply::Reply;

/// The largest creation read.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What the sandbox answers in a batch.
const ENDPOINT: &str = "/v1/chat/completions";

/// The body of a creation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Creation {
    input_file_id: String,
    endpoint: String,
    completion_window: Option<String>,
    #[serde(rename = "priority")]
    _priority: Option<i64>,
    model_id: Option<String>,
}

/// `POST /v1/batches`
pub(super) async fn create(call: &Call<'_>, body: Incoming, answered: bool) -> Result<Reply, BatchError> {
    let body = call::read(body, MAX_BODY_BYTES).await.map_err(|_| BatchError::bad_request("the body is too large"))?;
    let creation: Creation =
        serde_json::from_slice(&body).map_err(|error| BatchError::bad_request(error.to_string()))?;
    let new = new(call, creation, answered)?;
    let batch = batch::create(call.sandbox, &call.config, new).map_err(not_created)?;
    let job = object(&batch, call.sandbox.clock.now());
    Ok(Reply { status: 201, ..Reply::json(&json!({"job": job, "warning": ""})) })
}

fn new(call: &Call<'_>, creation: Creation, answered: bool) -> Result<New, BatchError> {
    if creation.endpoint != ENDPOINT {
        return Err(BatchError::bad_request(format!("endpoint {} is not supported", creation.endpoint)));
    }
    let window = creation.completion_window.as_deref().unwrap_or("24h");
    let allowed = call.config.batch.allow_completion_window.as_deref();
    if !allowed.map_or(window == "24h", |allowed| allowed.iter().any(|allowed| allowed == window)) {
        return Err(BatchError::bad_request(format!("completion_window {window} is not supported")));
    }
    if let Some(model) = creation.model_id.as_ref().filter(|model| !call.config.models.contains_key(*model)) {
        return Err(BatchError::bad_request(format!("model {model} does not exist")));
    }
    let id = &creation.input_file_id;
    let input = call.sandbox.batches.files.get(Together.family(), id);
    let input = input.ok_or_else(|| BatchError::bad_request(format!("file {id} does not exist")))?;
    if input.purpose != "batch-api" {
        return Err(BatchError::bad_request(format!("file {id} has the purpose {}", input.purpose)));
    }
    Ok(New {
        wire: &Together,
        key: call.key.clone(),
        tag: input.name.clone(),
        input,
        endpoint: creation.endpoint,
        model: creation.model_id,
        details: serde_json::Value::Null,
        window: Some(Duration::from_hours(24)),
        answered,
    })
}

fn not_created(refusal: Refusal) -> BatchError {
    match refusal {
        Refusal::Full(Full::Creations { limit, .. }) => BatchError::new(429, format!("more than {limit} in an hour")),
        Refusal::Full(Full::Batches { limit }) => BatchError::new(429, format!("more than {limit} in the queue")),
        Refusal::TokenLimit => BatchError::new(429, "too many tokens in the queue"),
        Refusal::Invalid(problems) => {
            BatchError::bad_request(problems.into_iter().next().map_or_else(String::new, |problem| problem.message))
        }
        Refusal::Io(error) => error.into(),
    }
}

/// `GET /v1/batches/{id}`
pub(super) fn get(call: &Call<'_>, id: &str) -> Result<Reply, BatchError> {
    let batch = find(call, id)?;
    let now = call.sandbox.clock.now();
    if !batch::poll(&batch, &call.config, now) {
        return Err(BatchError::new(429, "polled too often"));
    }
    // This poll may be the one that loses it.
    let batch = if batch.is_lost() { find(call, id)? } else { batch };
    Ok(Reply::json(&object(&batch, now)))
}

/// `GET /v1/batches`: all of them, newest first.
pub(super) fn list(call: &Call<'_>) -> Result<Reply, BatchError> {
    let now = call.sandbox.clock.now();
    let batches = batch::list(call, Together.family())?;
    let objects: Vec<_> = batches.iter().map(|batch| object(batch, now)).collect();
    Ok(Reply::json(&objects))
}

/// `POST /v1/batches/{id}/cancel`
pub(super) fn cancel(call: &Call<'_>, id: &str) -> Result<Reply, BatchError> {
    let batch = find(call, id)?;
    if batch.stage().has_ended() {
        return Err(BatchError::bad_request(format!("batch {id} has ended")));
    }
    batch::cancel(call.sandbox, &batch)?;
    Ok(Reply::json(&object(&batch, call.sandbox.clock.now())))
}

fn find(call: &Call<'_>, id: &str) -> Result<Arc<ProviderBatch>, BatchError> {
    let batch = call.sandbox.batches.get(Together.family(), id, &call.config, call.sandbox.clock.now());
    batch.ok_or_else(|| BatchError::new(404, format!("batch {id} does not exist")))
}
