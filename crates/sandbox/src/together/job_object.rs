//! The object of a batch.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use crate::batch::{ProviderBatch, Stage, View};
use crate::clock::Moment;

/// The object as it stands: no counts, no metadata.
pub(super) fn object(batch: &ProviderBatch, now: Moment) -> Value {
    let view = batch.view(now.instant);
    let id = |file: Option<&std::sync::Arc<crate::batch::StoredFile>>| file.map(|file| file.id.clone());
    let window = batch.window.map_or(0, |window| u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
    json!({
        "id": batch.id,
        "user_id": "user_sandbox",
        "input_file_id": batch.input.id,
        "file_size_bytes": batch.input.bytes,
        "status": status(view.stage),
        "job_deadline": rfc3339(batch.created.unix_ms.saturating_add(window)),
        "created_at": rfc3339(batch.created.unix_ms),
        "completed_at": view.times.ended.map(rfc3339),
        "endpoint": batch.endpoint,
        "progress": progress(&view),
        "model_id": view.model,
        "output_file_id": id(view.results.output.as_ref()),
        "error_file_id": id(view.results.errors.as_ref()),
        "error": view.problems.first().map(|problem| problem.message.clone()),
    })
}

/// There is no word for cancelling.
fn status(stage: Stage) -> &'static str {
    match stage {
        Stage::Validating => "VALIDATING",
        Stage::Running | Stage::Finalizing | Stage::Cancelling => "IN_PROGRESS",
        Stage::Completed => "COMPLETED",
        Stage::Failed => "FAILED",
        Stage::Expired => "EXPIRED",
        Stage::Cancelled => "CANCELLED",
        Stage::Unknown => "REBALANCING",
    }
}

/// In percent.
fn progress(view: &View) -> u64 {
    let done = view.completed + view.failed;
    done.saturating_mul(100).checked_div(view.total).unwrap_or(0)
}

fn rfc3339(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}
