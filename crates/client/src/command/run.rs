//! `gristmill run`: submit, watch, fetch.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::arguments::location::{Location, format_of};
use super::arguments::span;
use super::output::{self, Target};
use super::submit::JobArguments;
use super::watch::{self, Ending};
use super::{Outcome, Result, Session};
use crate::api::{Answer, IfExists, Job, JobStatus};
use crate::terminal::interrupted;

#[derive(Debug, Args)]
pub struct Arguments {
    /// A URI: the service writes the output there. A file or directory: the output is fetched to it [default: its first rows
    /// are printed]
    #[arg(long, short, value_name = "URI|FILE")]
    pub output: Option<Location>,
    /// Stop waiting after this time; the job goes on
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub job: JobArguments,
}

/// Where the output ends up.
enum Destination {
    /// The service writes it.
    Remote(String),
    File(PathBuf),
    /// Its first rows go to the terminal.
    Head,
}

pub async fn run(mut arguments: Arguments, session: &mut Session) -> Result<Outcome> {
    let destination = match arguments.output {
        Some(Location::Uri(uri)) => Destination::Remote(uri),
        Some(Location::Path(path)) => Destination::File(path),
        None => Destination::Head,
    };
    let replace = arguments.job.if_exists == Some(IfExists::Replace);
    if let Destination::File(path) = &destination {
        prepare_for_file(&mut arguments.job, path, replace)?;
    }
    let output_uri = match &destination {
        Destination::Remote(uri) => Some(uri.clone()),
        Destination::File(_) | Destination::Head => None,
    };
    let idempotency_key = arguments.job.idempotency_key.clone();
    let submission = arguments.job.submission(output_uri, session.now)?;
    let job = session.client.submit(&submission, idempotency_key.as_deref()).await?;
    session.terminal.note(&format!("submitted {}", job.id))?;

    match watch::follow(session, job, arguments.timeout).await? {
        Ending::Left(outcome) => Ok(outcome),
        Ending::Final(job) => tokio::select! {
            outcome = deliver(session, &job, destination, replace) => outcome,
            () = interrupted() => Ok(Outcome::Interrupted),
        },
    }
}

/// The service keeps the output, so what is said about it counts for the file that is fetched.
fn prepare_for_file(job: &mut JobArguments, path: &Path, replace: bool) -> Result<()> {
    if !path.is_dir() {
        output::check_file(path, replace)?;
    }
    if job.format.is_none() {
        job.format = path.to_str().and_then(format_of).map(str::to_owned);
    }
    job.if_exists = None;
    Ok(())
}

async fn deliver(session: &mut Session, job: &Answer<Job>, destination: Destination, replace: bool) -> Result<Outcome> {
    let outcome = Outcome::of(job);
    // A job that was stopped has an output too, unless it was stopped before its input was read.
    let has_output = job.status == JobStatus::Completed || job.output.bytes.is_some();
    if has_output {
        match destination {
            Destination::File(path) => {
                let target = Target::choose(&path, job, replace)?;
                output::fetch_to_file(session, &job.id, &target).await?;
            }
            Destination::Head if !session.json => output::head::print(session, job).await?,
            Destination::Remote(_) | Destination::Head => {}
        }
    }
    if session.json {
        session.terminal.json(&job.json)?;
    }
    Ok(outcome)
}
