//! The object `message_batch`.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::batch::{ProviderBatch, Stage, View};
use crate::call::Call;

/// The object as it stands.
pub(super) fn object(call: &Call<'_>, batch: &ProviderBatch) -> Value {
    let view = batch.view(call.sandbox.clock.now().instant);
    let ended = view.stage.has_ended();
    let window = batch.window.map(|window| u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
    let expires = window.map(|window| batch.created.unix_ms.saturating_add(window));
    let results = view.results.output.as_ref().map(|_| {
        let (origin, id) = (call.origin(), &batch.id);
        format!("{origin}/anthropic/v1/messages/batches/{id}/results")
    });
    json!({
        "id": batch.id,
        "type": "message_batch",
        "processing_status": status(view.stage),
        "request_counts": counts(&view, batch.input.lines.unwrap_or(0)),
        "created_at": time(batch.created.unix_ms),
        "expires_at": expires.map(time),
        "ended_at": view.times.ended.filter(|_| ended).map(time),
        "cancel_initiated_at": view.times.cancelling.map(time),
        "archived_at": null,
        "results_url": results,
    })
}

fn status(stage: Stage) -> &'static str {
    match stage {
        Stage::Validating | Stage::Running | Stage::Finalizing => "in_progress",
        Stage::Cancelling => "canceling",
        Stage::Completed | Stage::Failed | Stage::Expired | Stage::Cancelled => "ended",
        Stage::Unknown => "rebalancing",
    }
}

/// All are processing until the whole has ended.
fn counts(view: &View, total: u64) -> Value {
    if !view.stage.has_ended() {
        return json!({"processing": total, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0});
    }
    let unfinished = view.results.unfinished;
    let (canceled, expired) = if view.stage == Stage::Cancelled { (unfinished, 0) } else { (0, unfinished) };
    json!({
        "processing": 0,
        "succeeded": view.completed,
        "errored": view.failed,
        "canceled": canceled,
        "expired": expired,
    })
}

/// RFC 3339 with microseconds.
fn time(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(DateTime::from_timestamp_millis);
    time.unwrap_or(DateTime::<Utc>::MAX_UTC).to_rfc3339_opts(SecondsFormat::Micros, true)
}
