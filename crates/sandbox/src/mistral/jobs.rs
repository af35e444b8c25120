//! `/v1/batch/jobs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Mistral;
use super::error::ApiError;
use super::files::{find as find_file, refused, server};
use super::job_object::{object, status};
use super::page::page;
use crate::batch::{self, Full, Inline, New, Problem, ProviderBatch, Refusal, StoredFile, Wire, keep, receive_inline};
use crate::call::Call;
use crate::reply::Reply;

/// What the sandbox answers in a job.
const ENDPOINT: &str = "/v1/chat/completions";

/// Requests in a job that brings them itself.
const MAX_INLINE: u64 = 10_000;

/// The largest output that is given within the object.
const MAX_OUTPUTS_BYTES: u64 = 64 * 1024 * 1024;

/// The body of a creation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Creation {
    input_files: Option<Vec<String>>,
    /// Empty here: they have been taken away.
    #[serde(rename = "requests")]
    _requests: Option<Vec<Value>>,
    endpoint: String,
    model: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    timeout_hours: Option<u64>,
}

/// `POST /v1/batch/jobs`
pub(super) async fn create(call: &Call<'_>, body: Incoming, answered: bool) -> Result<Reply, ApiError> {
    let max_bytes = call.config.batch.max_bytes.unwrap_or(Mistral.rules().max_bytes);
    let inline = receive_inline(call.sandbox, &call.config, body, max_bytes).await.map_err(|error| refused(&error))?;
    let creation: Creation =
        serde_json::from_slice(&inline.rest).map_err(|error| ApiError::field("", "value_error", &error.to_string()))?;
    let new = new(call, creation, inline, answered)?;
    let job = batch::create(call.sandbox, &call.config, new).map_err(not_created)?;
    Ok(Reply::json(&object(&job, call.sandbox.clock.now())))
}

fn new(call: &Call<'_>, creation: Creation, inline: Inline, answered: bool) -> Result<New, ApiError> {
    if creation.endpoint != ENDPOINT {
        return Err(ApiError::field("endpoint", "enum", "the sandbox takes /v1/chat/completions"));
    }
    let model = creation.model.clone().ok_or_else(|| ApiError::field("model", "missing", "Field required"))?;
    if !call.config.models.contains_key(&model) {
        return Err(ApiError::unknown_model(&model));
    }
    let hours = creation.timeout_hours.unwrap_or(24);
    if !(1..=168).contains(&hours) {
        return Err(ApiError::field("timeout_hours", "value_error", "Input should be from 1 to 168"));
    }
    check_metadata(creation.metadata.as_ref())?;
    let input = input(call, &creation, inline, answered)?;
    let tag = creation.metadata.as_ref().map_or_else(|| input.name.clone(), |metadata| json!(metadata).to_string());
    Ok(New {
        wire: &Mistral,
        key: call.key.clone(),
        input,
        endpoint: creation.endpoint,
        model: Some(model),
        details: json!({"metadata": creation.metadata}),
        window: Some(Duration::from_secs(hours * 3600)),
        tag,
        answered,
    })
}

/// Keys of 1 to 32 characters, values of 1 to 512.
fn check_metadata(metadata: Option<&BTreeMap<String, String>>) -> Result<(), ApiError> {
    let fits = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
    let mut pairs = metadata.into_iter().flatten();
    match pairs.find(|(key, value)| !fits(key, 32) || !fits(value, 512)) {
        None => Ok(()),
        Some((key, _)) => Err(ApiError::field(
            &format!("metadata.{key}"),
            "string_too_long",
            "keys have 1 to 32, values 1 to 512 characters",
        )),
    }
}

/// One file, or the requests of the body themselves.
fn input(call: &Call<'_>, creation: &Creation, inline: Inline, answered: bool) -> Result<Arc<StoredFile>, ApiError> {
    match (creation.input_files.as_deref(), inline.requests) {
        (Some([id]), None) => {
            let file = find_file(call, id)?;
            if file.purpose == "batch" {
                Ok(file)
            } else {
                Err(ApiError::bad_request(format!("{id} is not for batch")))
            }
        }
        (None, Some(requests)) if requests.lines > MAX_INLINE => {
            Err(ApiError::field("requests", "too_long", "List should have at most 10000 items"))
        }
        (None, Some(mut requests)) => {
            "requests.jsonl".clone_into(&mut requests.name);
            keep(call, &Mistral, requests, "batch".to_owned(), None, answered).map_err(server)
        }
        (Some(_), None) => Err(ApiError::bad_request("the sandbox takes one input file".to_owned())),
        _ => Err(ApiError::bad_request("Exactly one of input_files and requests is needed".to_owned())),
    }
}

fn not_created(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Full(Full::Creations { limit, .. }) => ApiError::rate_limit(&format!("on jobs per hour: {limit}")),
        Refusal::Full(Full::Batches { limit }) => ApiError::rate_limit(&format!("on jobs in the queue: {limit}")),
        Refusal::TokenLimit => ApiError::rate_limit("on tokens in the queue"),
        Refusal::Invalid(problems) => {
            let problem = problems.into_iter().next();
            ApiError::bad_request(problem.map_or_else(String::new, |Problem { message, .. }| message))
        }
        Refusal::Io(error) => server(error),
    }
}

/// `GET /v1/batch/jobs/{id}`
pub(super) async fn get(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let job = find(call, id)?;
    let now = call.sandbox.clock.now();
    if !batch::poll(&job, &call.config, now) {
        return Err(ApiError::rate_limit("on polls of this job"));
    }
    // This poll may be the one that loses it.
    let job = if job.is_lost() { find(call, id)? } else { job };
    let mut object = object(&job, now);
    let output = job.view(now.instant).results.output.filter(|output| output.bytes <= MAX_OUTPUTS_BYTES);
    if let (Some("true" | "True"), Some(output)) = (call.parameter("inline").as_deref(), output) {
        object["outputs"] = outputs(&output).await.map_err(server)?;
    }
    Ok(Reply::json(&object))
}

/// The lines of the output as an array.
async fn outputs(output: &StoredFile) -> std::io::Result<Value> {
    let content = tokio::fs::read_to_string(output.path()).await?;
    let lines: Result<Vec<Value>, _> = content.lines().map(serde_json::from_str).collect();
    Ok(Value::Array(lines?))
}

/// `GET /v1/batch/jobs`
pub(super) fn list(call: &Call<'_>) -> Result<Reply, ApiError> {
    let now = call.sandbox.clock.now();
    let mut jobs = batch::list(call, Mistral.family()).map_err(server)?;
    filter(call, &mut jobs)?;
    match call.parameter("order_by").as_deref() {
        None | Some("-created") => {}
        Some("created") => jobs.reverse(),
        Some(_) => return Err(ApiError::field("order_by", "enum", "Input should be 'created' or '-created'")),
    }
    let total = jobs.len();
    let (start, end) = page(call, total)?;
    let data: Vec<_> = jobs[start..end].iter().map(|job| object(job, now)).collect();
    Ok(Reply::json(&json!({"data": data, "object": "list", "total": total})))
}

fn filter(call: &Call<'_>, jobs: &mut Vec<Arc<ProviderBatch>>) -> Result<(), ApiError> {
    if let Some(model) = call.parameter("model") {
        jobs.retain(|job| job.model.as_ref() == Some(&model));
    }
    if let Some(metadata) = call.parameter("metadata") {
        let wanted: Map<String, Value> = serde_json::from_str(&metadata)
            .map_err(|error| ApiError::field("metadata", "dict_type", &error.to_string()))?;
        jobs.retain(|job| wanted.iter().all(|(key, value)| job.details["metadata"].get(key) == Some(value)));
    }
    if let Some(after) = call.parameter("created_after") {
        let after = DateTime::parse_from_rfc3339(&after)
            .map_err(|error| ApiError::field("created_after", "datetime_parsing", &error.to_string()))?;
        let after_ms = u64::try_from(after.timestamp_millis()).unwrap_or(0);
        jobs.retain(|job| job.created.unix_ms > after_ms);
    }
    if call.parameter("created_by_me").is_some_and(|mine| mine.eq_ignore_ascii_case("true")) {
        jobs.retain(|job| job.key == call.key);
    }
    let statuses = call.parameters("status");
    if !statuses.is_empty() {
        jobs.retain(|job| statuses.iter().any(|wanted| wanted == status(job.stage())));
    }
    Ok(())
}

/// `POST /v1/batch/jobs/{id}/cancel`
pub(super) fn cancel(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let job = find(call, id)?;
    if job.stage().has_ended() {
        return Err(ApiError::bad_request(format!("Job {id} is {}", status(job.stage()))));
    }
    batch::cancel(call.sandbox, &job).map_err(server)?;
    Ok(Reply::json(&object(&job, call.sandbox.clock.now())))
}

/// `DELETE /v1/batch/jobs/{id}`
pub(super) fn delete(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let job = find(call, id)?;
    if !job.stage().has_ended() {
        return Err(ApiError::bad_request(format!("Job {id} is {}", status(job.stage()))));
    }
    call.sandbox.batches.forget(id);
    Ok(Reply::json(&json!({"id": id, "object": "batch", "deleted": true})))
}

fn find(call: &Call<'_>, id: &str) -> Result<Arc<ProviderBatch>, ApiError> {
    let job = call.sandbox.batches.get(Mistral.family(), id, &call.config, call.sandbox.clock.now());
    job.ok_or_else(|| ApiError::not_found("Job", id))
}
