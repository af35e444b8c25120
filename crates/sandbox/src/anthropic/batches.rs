//! `/messages/batches`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use serde_json::json;
use tokio::io::AsyncBufReadExt;

use super::batch_object::object;
use super::batch_wire::MessageBatches;
use super::error::ApiError;
use super::{Anthropic, Version};
use crate::batch::{self, Full, Label, New, Problem, ProviderBatch, Refusal, StoredFile, UploadError, Wire, download};
use crate::call::Call;
use crate::desk::parse;
use crate::family::{Family, RateLimit, Wait};
use crate::limits::Limit;
use crate::reply::Reply;

/// A request that is not answered by then expires.
const WINDOW: Duration = Duration::from_hours(24);

/// `POST /messages/batches`
pub(super) async fn create(call: &Call<'_>, version: Version, body: Incoming, answered: bool) -> Result<Reply, Reply> {
    let input = receive(call, body).await?;
    let new = New {
        wire: &MessageBatches,
        key: call.key.clone(),
        input: Arc::clone(&input),
        endpoint: "/v1/messages".to_owned(),
        model: None,
        details: json!({"version": version.name()}),
        window: Some(WINDOW),
        tag: input.name.clone(),
        answered,
    };
    let created = batch::create_valid(call.sandbox, &call.config, new).await;
    let created = created.map_err(|refusal| {
        forget_file(call, &input);
        refused(&refusal)
    })?;
    Ok(Reply::json(&object(call, &created)))
}

/// Forgets a file that no client sees.
fn forget_file(call: &Call<'_>, file: &StoredFile) {
    call.sandbox.batches.files.delete(MessageBatches.family(), &file.id);
}

/// The requests of a body, one a line, in a file that no client sees. Its name is the id of the first.
async fn receive(call: &Call<'_>, body: Incoming) -> Result<Arc<StoredFile>, ApiError> {
    let max_bytes = call.config.batch.max_bytes.unwrap_or(MessageBatches.rules().max_bytes);
    let inline = batch::receive_inline(call.sandbox, &call.config, body, max_bytes).await;
    let inline = inline.map_err(|error| match error {
        UploadError::TooLarge(max_bytes) => too_large(format!("Request exceeds the maximum size of {max_bytes} bytes")),
        UploadError::Form(_) => ApiError::invalid(error.to_string()),
        UploadError::Io(error) => server(&error),
    })?;
    let rest = parse(&inline.rest).map_err(|objection| ApiError::from(&objection))?;
    if let Some((name, _)) = rest.0.iter().find(|(name, _)| name != "requests") {
        return Err(ApiError::unknown(name));
    }
    let requests = inline.requests.ok_or_else(|| match rest.get("requests") {
        Some(_) => ApiError::wrong_type("requests", "a valid list"),
        None => ApiError::missing("requests"),
    })?;
    let label = Label {
        name: first_id(requests.place.1.path()).await.unwrap_or_default(),
        purpose: String::new(),
        bytes: requests.bytes,
        lines: Some(requests.lines),
        created_ms: call.sandbox.clock.now().unix_ms,
        expires_ms: None,
    };
    Ok(call.sandbox.batches.files.keep(&MessageBatches, requests.place, label))
}

/// The id in the first line, where there is one.
async fn first_id(path: &Path) -> Option<String> {
    let file = tokio::fs::File::open(path).await.ok()?;
    let line = tokio::io::BufReader::new(file).lines().next_line().await.ok()??;
    parse(line.as_bytes()).ok()?.text("custom_id").map(str::to_owned)
}

fn refused(refusal: &Refusal) -> Reply {
    let limited = |detail: &str, wait| Anthropic::rate_limit(&RateLimit { limit: Limit::Requests, detail, wait }, 0);
    match refusal {
        Refusal::Full(Full::Creations { limit, retry_after }) => {
            limited(&format!("on batch creations per hour: Limit {limit}"), Wait::Usual(*retry_after))
        }
        Refusal::Full(Full::Batches { limit }) => {
            limited(&format!("on batches that have not ended: Limit {limit}"), Wait::Unknown)
        }
        Refusal::TokenLimit => limited("on batch requests in the processing queue", Wait::Unknown),
        Refusal::Invalid(problems) => invalid(problems).into(),
        Refusal::Io(error) => server(error).into(),
    }
}

/// The first problem.
fn invalid(problems: &[Problem]) -> ApiError {
    let Some(problem) = problems.first() else {
        return ApiError::invalid("requests: invalid".to_owned());
    };
    match (problem.code, &problem.param, problem.line) {
        ("too_many_tasks", ..) => too_large(problem.message.clone()),
        ("empty_file", ..) => ApiError::invalid("requests: List should have at least 1 item".to_owned()),
        (_, Some(param), Some(line)) if !param.is_empty() => {
            ApiError::invalid(format!("requests.{}.{param}: {}", line - 1, problem.message))
        }
        _ => ApiError::invalid(format!("requests: {}", problem.message)),
    }
}

/// `GET /messages/batches/{id}`
pub(super) fn get(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let batch = find(call, id)?;
    if !batch::poll(&batch, &call.config, call.sandbox.clock.now()) {
        return Err(ApiError::new(429, "rate_limit_error", "This batch is polled too often."));
    }
    // This poll may be the one that loses it.
    let batch = if batch.is_lost() { find(call, id)? } else { batch };
    Ok(Reply::json(&object(call, &batch)))
}

/// `GET /messages/batches`, newest first.
pub(super) fn list(call: &Call<'_>) -> Result<Reply, ApiError> {
    let all = batch::list(call, MessageBatches.family()).map_err(|error| server(&error))?;
    let limit = match call.parameter("limit") {
        None => 20,
        Some(text) => {
            let limit = text.parse().ok().filter(|limit| (1..=1000).contains(limit));
            limit.ok_or_else(|| ApiError::wrong_type("limit", "from 1 to 1000"))?
        }
    };
    let position = |name: &str| {
        let at = call.parameter(name).map(|id| all.iter().position(|batch| batch.id == id));
        at.map(|at| at.ok_or_else(|| ApiError::wrong_type(name, "the id of a batch"))).transpose()
    };
    let (page, has_more) = match (position("before_id")?, position("after_id")?) {
        (Some(_), Some(_)) => return Err(ApiError::wrong_type("before_id", "absent where there is an after_id")),
        (Some(before), None) => (&all[before.saturating_sub(limit)..before], before > limit),
        (None, after) => {
            let rest = &all[after.map_or(0, |at| at + 1)..];
            (&rest[..limit.min(rest.len())], rest.len() > limit)
        }
    };
    let data: Vec<_> = page.iter().map(|batch| object(call, batch)).collect();
    let id = |batch: Option<&Arc<ProviderBatch>>| batch.map(|batch| batch.id.clone());
    Ok(Reply::json(&json!({
        "data": data,
        "has_more": has_more,
        "first_id": id(page.first()),
        "last_id": id(page.last()),
    })))
}

/// `POST /messages/batches/{id}/cancel`
pub(super) fn cancel(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let batch = find(call, id)?;
    if batch.stage().has_ended() {
        return Err(ApiError::invalid(format!("Batch {id} cannot be canceled: it has ended.")));
    }
    batch::cancel(call.sandbox, &batch).map_err(|error| server(&error))?;
    Ok(Reply::json(&object(call, &batch)))
}

/// `DELETE /messages/batches/{id}`
pub(super) fn delete(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let batch = find(call, id)?;
    if !batch.stage().has_ended() {
        return Err(ApiError::invalid(format!("Batch {id} cannot be deleted: it has not ended. Cancel it first.")));
    }
    let results = batch.view(call.sandbox.clock.now().instant).results.output;
    for file in [Some(&batch.input), results.as_ref()].into_iter().flatten() {
        forget_file(call, file);
    }
    call.sandbox.batches.forget(id);
    Ok(Reply::json(&json!({"id": id, "type": "message_batch_deleted"})))
}

/// `GET /messages/batches/{id}/results`
pub(super) async fn results(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let batch = find(call, id)?;
    let view = batch.view(call.sandbox.clock.now().instant);
    let Some(results) = view.results.output else {
        return Err(ApiError::new(404, "not_found_error", format!("Batch {id} has no results.")));
    };
    let reply = download(call, &results).await.map_err(|error| server(&error))?;
    Ok(Reply { content_type: "application/x-jsonl", ..reply })
}

fn find(call: &Call<'_>, id: &str) -> Result<Arc<ProviderBatch>, ApiError> {
    let now = call.sandbox.clock.now();
    let batch = call.sandbox.batches.get(MessageBatches.family(), id, &call.config, now);
    batch.ok_or_else(|| ApiError::new(404, "not_found_error", format!("Not found: batch {id}")))
}

fn too_large(message: String) -> ApiError {
    ApiError::new(413, "request_too_large", message)
}

fn server(error: &impl std::fmt::Display) -> ApiError {
    ApiError::new(500, "api_error", error.to_string())
}
