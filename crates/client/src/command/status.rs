//! `gristmill status`

use clap::Args;

use super::{Outcome, Result, Session, text};
use crate::api::{Answer, Job};
use crate::terminal::printable;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Id of the job
    #[arg(value_name = "JOB")]
    pub job: String,
}

pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Outcome> {
    let job = session.client.job(&arguments.job, None).await?;
    print(session, &job)?;
    Ok(Outcome::Done)
}

/// Prints a job, a line for each thing that is known of it.
pub fn print(session: &mut Session, job: &Answer<Job>) -> Result<()> {
    if session.json {
        return Ok(session.terminal.json(&job.json)?);
    }
    for (name, value) in facts(job) {
        session.terminal.line(&format!("{name:<10} {}", printable(&value)))?;
    }
    Ok(())
}

fn facts(job: &Job) -> Vec<(&'static str, String)> {
    let counts = &job.counts;
    let facts = [
        ("job", Some(job.id.clone())),
        ("name", job.name.clone()),
        ("status", Some(job.status.to_string())),
        ("reason", job.status_reason.as_ref().map(ToString::to_string)),
        ("error", job.error.as_ref().map(ToString::to_string)),
        ("model", Some(job.model.to_string())),
        ("rows", job.total_rows().map(text::count)),
        ("running", Some(counts.running).filter(|rows| *rows > 0).map(text::count)),
        ("succeeded", Some(text::count(counts.succeeded))),
        ("failed", Some(text::count(counts.failed))),
        ("cancelled", Some(counts.cancelled).filter(|rows| *rows > 0).map(text::count)),
        ("expired", Some(counts.expired).filter(|rows| *rows > 0).map(text::count)),
        ("progress", job.progress.map(|progress| format!("{:.1} %", progress * 100.0))),
        ("tokens", Some(tokens(job))),
        ("cost", job.usage.cost_usd.as_ref().map(|cost| format!("${cost}"))),
        ("output", job.output.uri.clone()),
        ("created", Some(text::time(job.created_at))),
        ("started", job.started_at.map(text::time)),
        ("expected", job.eta.map(text::time)),
        ("finished", job.finished_at.map(text::time)),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn tokens(job: &Job) -> String {
    format!("{} in, {} out", text::count(job.usage.input_tokens), text::count(job.usage.output_tokens))
}
