//! The object `batch`.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::OpenAi;
use crate::batch::{Outcome, Problem, ProviderBatch, Stage, View};
use crate::clock::Moment;

/// The object as it stands.
pub(super) fn object(openai: OpenAi, batch: &ProviderBatch, now: Moment) -> Value {
    let view = batch.view(now.instant);
    let time = |ms: Option<u64>| ms.map_or(Value::Null, |ms| time(openai, ms));
    let ended = |stage: Stage| time(view.times.ended.filter(|_| view.stage == stage));
    let window = batch.window.map(|window| u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
    let expires = window.map(|window| batch.created.unix_ms.saturating_add(window));
    let file = |file: &Option<_>| file.as_ref().map(|file: &std::sync::Arc<crate::batch::StoredFile>| file.id.clone());
    let mut error_file = file(&view.results.errors);
    if error_file.is_none() && view.stage.has_ended() && batch.has_outcome(Outcome::EmptyErrorFileId) {
        error_file = Some(String::new());
    }
    json!({
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": view.model,
        "errors": errors(&view.problems),
        "input_file_id": batch.input.id,
        "completion_window": batch.details["completion_window"],
        "status": status(openai, view.stage),
        "output_file_id": file(&view.results.output),
        "error_file_id": error_file,
        "created_at": time(Some(batch.created.unix_ms)),
        "in_progress_at": time(view.times.running),
        "expires_at": time(expires),
        "finalizing_at": time(view.times.finalizing),
        "completed_at": ended(Stage::Completed),
        "failed_at": ended(Stage::Failed),
        "expired_at": ended(Stage::Expired),
        "cancelling_at": time(view.times.cancelling),
        "cancelled_at": ended(Stage::Cancelled),
        "request_counts": counts(openai, &view),
        "usage": usage(&view),
        "metadata": batch.details["metadata"],
    })
}

fn status(openai: OpenAi, stage: Stage) -> &'static str {
    let (usual, capitalised) = match stage {
        Stage::Validating => ("validating", "Validating"),
        Stage::Running => ("in_progress", "In_progress"),
        Stage::Finalizing => ("finalizing", "Finalizing"),
        Stage::Completed => ("completed", "Completed"),
        Stage::Failed => ("failed", "Failed"),
        Stage::Expired => ("expired", "Expired"),
        Stage::Cancelling => ("cancelling", "Cancelling"),
        Stage::Cancelled => ("cancelled", "Cancelled"),
        Stage::Unknown => ("rebalancing", "Rebalancing"),
    };
    if openai == OpenAi::Azure { capitalised } else { usual }
}

/// Azure's samples show ISO 8601, all others Unix seconds.
fn time(openai: OpenAi, unix_ms: u64) -> Value {
    if openai != OpenAi::Azure {
        return json!(unix_ms / 1000);
    }
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    json!(time.to_rfc3339_opts(SecondsFormat::Micros, false))
}

/// Azure's samples show null.
fn counts(openai: OpenAi, view: &View) -> Value {
    if openai == OpenAi::Azure {
        return json!({"total": null, "completed": null, "failed": null});
    }
    json!({"total": view.total, "completed": view.completed, "failed": view.failed})
}

fn usage(view: &View) -> Value {
    let (input, output) = (view.results.prompt_tokens, view.results.completion_tokens);
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input.saturating_add(output),
    })
}

fn errors(problems: &[Problem]) -> Value {
    if problems.is_empty() {
        return Value::Null;
    }
    let data: Vec<_> = problems
        .iter()
        .map(|problem| {
            json!({
                "code": problem.code,
                "message": problem.message,
                "param": problem.param,
                "line": problem.line,
            })
        })
        .collect();
    json!({"object": "list", "data": data})
}
