//! `gristmill output`

pub mod head;

use std::path::{Path, PathBuf};

use clap::Args;

use super::arguments::location::format_of;
use super::{CommandError, Outcome, Result, Session, text};
use crate::api::{IfExists, Job};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Id of the job
    #[arg(value_name = "JOB")]
    pub job: String,
    /// File or directory to write [default: standard output]
    #[arg(long, short, value_name = "FILE", required_if_eq("json", "true"))]
    pub output: Option<PathBuf>,
    /// What to do where the file is there already
    #[arg(long, value_enum, value_name = "ACTION", default_value = "error")]
    pub if_exists: IfExists,
}

pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Outcome> {
    let Some(path) = &arguments.output else {
        return stream(session, &arguments.job).await;
    };
    let job = session.client.job(&arguments.job, None).await?;
    let target = Target::choose(path, &job, arguments.if_exists == IfExists::Replace)?;
    fetch_to_file(session, &job.id, &target).await?;
    if session.json {
        session.terminal.json(&job.json)?;
    }
    Ok(Outcome::Done)
}

async fn stream(session: &mut Session, job_id: &str) -> Result<Outcome> {
    let mut output = session.client.output(job_id).await?;
    if session.terminal.shows_results() && output.content_type().is_some_and(|kind| kind.contains("parquet")) {
        return Err(CommandError::Usage("Parquet is not for a terminal: give --output FILE".to_owned()));
    }
    while let Some(bytes) = output.next().await? {
        session.terminal.bytes(&bytes)?;
    }
    session.terminal.flush()?;
    Ok(Outcome::Done)
}

/// The file that an output is fetched to.
pub struct Target(PathBuf);

impl Target {
    /// The path itself, or in a directory a file with the output's own name.
    pub fn choose(path: &Path, job: &Job, replace: bool) -> Result<Self> {
        let path = if path.is_dir() { path.join(file_name(job)) } else { path.to_owned() };
        check_file(&path, replace)?;
        Ok(Self(path))
    }
}

/// # Errors
/// The file is there and may not be replaced, or its directory is not there.
pub fn check_file(path: &Path, replace: bool) -> Result<()> {
    if !replace && path.exists() {
        let message = format!("{} is there already; --if-exists replace overwrites it", path.display());
        return Err(CommandError::Usage(message));
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(CommandError::Usage(format!("there is no directory {}", parent.display())))
        }
        _ => Ok(()),
    }
}

pub async fn fetch_to_file(session: &mut Session, job_id: &str, target: &Target) -> Result<()> {
    let written = session.client.download_to_file(job_id, &target.0).await?;
    session.terminal.note(&format!("wrote {} ({})", target.0.display(), text::bytes(written)))?;
    Ok(())
}

/// The name that the output has in storage; of one that the service keeps, the job's id.
fn file_name(job: &Job) -> String {
    let format = job.output.format.as_deref().unwrap_or("csv");
    let own_name = job.output.uri.as_deref().and_then(|uri| uri.rsplit('/').next());
    match own_name {
        Some(name) if format_of(name).is_some() && !name.contains('\\') => name.to_owned(),
        _ => format!("{}.{format}", job.id),
    }
}
