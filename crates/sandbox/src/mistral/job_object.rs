//! The object of a batch job.

use serde_json::{Value, json};

use crate::batch::{ProviderBatch, Stage, View};
use crate::clock::Moment;

/// The object as it stands.
pub(super) fn object(batch: &ProviderBatch, now: Moment) -> Value {
    let view = batch.view(now.instant);
    let seconds = |ms: Option<u64>| ms.map(|ms| ms / 1000);
    let id = |file: Option<&std::sync::Arc<crate::batch::StoredFile>>| file.map(|file| file.id.clone());
    json!({
        "id": batch.id,
        "object": "batch",
        "input_files": [batch.input.id],
        "metadata": batch.details["metadata"],
        "endpoint": batch.endpoint,
        "model": batch.model,
        "agent_id": null,
        "output_file": id(view.results.output.as_ref()),
        "error_file": id(view.results.errors.as_ref()),
        "errors": errors(&view),
        "outputs": null,
        "status": status(view.stage),
        "created_at": batch.created.unix_ms / 1000,
        "total_requests": view.total,
        "completed_requests": view.completed + view.failed,
        "succeeded_requests": view.completed,
        "failed_requests": view.failed,
        "started_at": seconds(view.times.running),
        "completed_at": seconds(view.times.ended),
    })
}

/// As the API calls a stage.
pub(super) fn status(stage: Stage) -> &'static str {
    match stage {
        Stage::Validating => "QUEUED",
        Stage::Running | Stage::Finalizing => "RUNNING",
        Stage::Completed => "SUCCESS",
        Stage::Failed => "FAILED",
        Stage::Expired => "TIMEOUT_EXCEEDED",
        Stage::Cancelling => "CANCELLATION_REQUESTED",
        Stage::Cancelled => "CANCELLED",
        Stage::Unknown => "REBALANCING",
    }
}

fn errors(view: &View) -> Vec<Value> {
    let at = |line: Option<u64>| line.map_or_else(String::new, |line| format!(" (line {line})"));
    let problems = view.problems.iter();
    let mut errors: Vec<_> = problems
        .map(|problem| json!({"message": format!("{}{}", problem.message, at(problem.line)), "count": 1}))
        .collect();
    if view.failed > 0 {
        errors.push(json!({"message": "Some requests failed.", "count": view.failed}));
    }
    errors
}
