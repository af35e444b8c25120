//! What became of a job.

use crate::api::{Job, JobStatus};
use crate::command::text;
use crate::terminal::printable;

/// A few lines: how it ended, rows, tokens and cost, the output's URI, what to do about failures.
pub fn lines(job: &Job) -> Vec<String> {
    let mut lines = vec![ending(job)];
    if let Some(error) = &job.error {
        lines.push(format!("  error: {}", printable(&error.to_string())));
    } else if let Some(reason) = &job.status_reason {
        lines.push(format!("  {}", printable(&reason.to_string())));
    }
    lines.push(format!("  rows: {}", rows(job)));
    lines.push(format!(
        "  tokens: {} in ({} cached), {} out; cost: {}",
        text::count(job.usage.input_tokens),
        text::count(job.usage.cached_input_tokens),
        text::count(job.usage.output_tokens),
        text::dollars(job.usage.cost_usd.as_deref()),
    ));
    if let Some(uri) = &job.output.uri {
        lines.push(format!("  output: {}", printable(uri)));
    }
    if job.counts.failed > 0 {
        lines.push(format!("  failures: gristmill items {} --status failed", job.id));
    }
    lines
}

/// How to get an output that the service keeps.
pub fn how_to_fetch(job: &Job) -> Option<String> {
    let is_kept = job.output.uri.is_none() && (job.status == JobStatus::Completed || job.output.bytes.is_some());
    is_kept.then(|| format!("  output: gristmill output {} --output FILE", job.id))
}

fn ending(job: &Job) -> String {
    let began = job.started_at.unwrap_or(job.created_at);
    match job.finished_at.and_then(|finished| (finished - began).to_std().ok()) {
        Some(taken) => format!("{} {} in {}", job.id, job.status, text::duration(taken)),
        None => format!("{} {}", job.id, job.status),
    }
}

fn rows(job: &Job) -> String {
    let counts = &job.counts;
    let outcomes = [
        ("succeeded", counts.succeeded),
        ("failed", counts.failed),
        ("cancelled", counts.cancelled),
        ("expired", counts.expired),
    ];
    let total = job.total_rows().unwrap_or_else(|| counts.done());
    let parts = outcomes.into_iter().filter(|(_, rows)| *rows > 0);
    std::iter::once(text::count(total))
        .chain(parts.map(|(name, rows)| format!("{} {name}", text::count(rows))))
        .collect::<Vec<_>>()
        .join(", ")
}
