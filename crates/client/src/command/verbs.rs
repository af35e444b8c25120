//! `gristmill cancel`, `pause` and `resume`

use clap::Args;

use super::{Outcome, Result, Session};
use crate::api::{Answer, Job};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Id of the job
    #[arg(value_name = "JOB")]
    pub job: String,
}

pub async fn cancel(arguments: Arguments, session: &mut Session) -> Result<Outcome> {
    let job = session.client.cancel(&arguments.job).await?;
    print(session, &job)
}

pub async fn pause(arguments: Arguments, session: &mut Session) -> Result<Outcome> {
    let job = session.client.pause(&arguments.job).await?;
    print(session, &job)
}

pub async fn resume(arguments: Arguments, session: &mut Session) -> Result<Outcome> {
    let job = session.client.resume(&arguments.job).await?;
    print(session, &job)
}

fn print(session: &mut Session, job: &Answer<Job>) -> Result<Outcome> {
    if session.json {
        session.terminal.json(&job.json)?;
    } else {
        session.terminal.line(&format!("{} {}", job.id, job.status))?;
    }
    Ok(Outcome::Done)
}
