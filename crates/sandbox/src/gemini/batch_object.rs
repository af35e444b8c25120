//! A provider batch as a long-running operation: the raw form, which Google's SDK makes into a flat object.

use serde_json::{Map, Value, json};

use super::batch_wire::HIDDEN;
use super::time;
use crate::batch::{Outcome, ProviderBatch, Stage, StoredFile, View};
use crate::clock::Moment;

const TYPE: &str = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch";

/// The operation as it stands, without results that are not in a file.
pub(super) fn object(batch: &ProviderBatch, now: Moment) -> Value {
    operation(batch, &batch.view(now.instant), now, None)
}

/// The operation with all its results.
pub(super) async fn with_results(batch: &ProviderBatch, now: Moment) -> std::io::Result<Value> {
    let view = batch.view(now.instant);
    let inline = match &view.results.output {
        Some(file) if file.purpose == HIDDEN => Some(inlined(batch, file).await?),
        _ => None,
    };
    Ok(operation(batch, &view, now, inline))
}

fn operation(batch: &ProviderBatch, view: &View, now: Moment, inline: Option<Value>) -> Value {
    let mut operation = json!({"name": batch.id, "metadata": metadata(batch, view, now)});
    if !view.stage.has_ended() {
        return operation;
    }
    let output = match (inline, &view.results.output) {
        // Twice, as one message holds the other's list.
        (Some(responses), _) => Some(json!({"inlinedResponses": {"inlinedResponses": responses}})),
        (None, Some(file)) if file.purpose != HIDDEN => Some(json!({"responsesFile": file.id})),
        _ => None,
    };
    if let Some(output) = output.clone() {
        operation["metadata"]["output"] = output;
    }
    operation["done"] = json!(true);
    if let Some(error) = error(view) {
        operation["error"] = error;
    } else {
        let mut response = output.unwrap_or_else(|| json!({}));
        response["@type"] = json!(format!("{TYPE}Output"));
        operation["response"] = response;
    }
    operation
}

fn metadata(batch: &ProviderBatch, view: &View, now: Moment) -> Value {
    let mut metadata = Map::new();
    let mut put = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
    put("@type", json!(TYPE));
    put("name", json!(batch.id));
    put("displayName", batch.details["display_name"].clone());
    put("model", json!(format!("models/{}", batch.model.as_deref().unwrap_or_default())));
    put("state", json!(state(view.stage)));
    put("createTime", json!(time(batch.created.unix_ms)));
    put("updateTime", json!(time(view.times.ended.unwrap_or(now.unix_ms))));
    if let Some(ended) = view.times.ended {
        put("endTime", json!(time(ended)));
    }
    if batch.input.purpose != HIDDEN {
        put("inputConfig", json!({"fileName": batch.input.id}));
    }
    put("batchStats", stats(view, batch.input.lines.unwrap_or(0)));
    put("priority", json!("0"));
    Value::Object(metadata)
}

/// Counts are strings, as all of Google's 64-bit integers in JSON.
fn stats(view: &View, total: u64) -> Value {
    let pending = if view.stage.has_ended() { 0 } else { total - (view.completed + view.failed).min(total) };
    json!({
        "requestCount": total.to_string(),
        "successfulRequestCount": view.completed.to_string(),
        "failedRequestCount": view.failed.to_string(),
        "pendingRequestCount": pending.to_string(),
    })
}

fn state(stage: Stage) -> &'static str {
    match stage {
        Stage::Validating => "BATCH_STATE_PENDING",
        Stage::Running | Stage::Finalizing | Stage::Cancelling => "BATCH_STATE_RUNNING",
        Stage::Completed => "BATCH_STATE_SUCCEEDED",
        Stage::Failed => "BATCH_STATE_FAILED",
        Stage::Expired => "BATCH_STATE_EXPIRED",
        Stage::Cancelled => "BATCH_STATE_CANCELLED",
        Stage::Unknown => "BATCH_STATE_REBALANCING",
    }
}

/// What stands in place of a response, with a number of `google.rpc.Code`.
fn error(view: &View) -> Option<Value> {
    let told = |code: u8, message: &str| Some(json!({"code": code, "message": message}));
    match view.stage {
        Stage::Failed => {
            let problem = view.problems.first();
            told(3, problem.map_or("The batch failed.", |problem| &problem.message))
        }
        Stage::Expired => told(4, "The batch was not done in time."),
        Stage::Cancelled => told(1, "The batch was cancelled."),
        _ => None,
    }
}

/// The lines of a result file as a list.
async fn inlined(batch: &ProviderBatch, file: &StoredFile) -> std::io::Result<Value> {
    let content = tokio::fs::read_to_string(file.path()).await?;
    let lines = content.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    let mut responses = lines.map_err(std::io::Error::from)?;
    if batch.has_outcome(Outcome::NoKeys) {
        for response in &mut responses {
            response.as_object_mut().and_then(|response| response.remove("metadata"));
        }
    }
    Ok(Value::Array(responses))
}
