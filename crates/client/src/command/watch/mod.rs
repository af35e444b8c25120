//! `gristmill watch`

mod bar;
mod lines;
mod poll;
mod speed;
mod summary;
mod view;

use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::arguments::span;
use super::{Outcome, Result, Session};
use crate::api::{Answer, Job};
use crate::terminal::interrupted;
use poll::{Poll, Seen};
use view::View;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Id of the job
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Stop waiting after this time; the job goes on
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    pub timeout: Option<Duration>,
}

pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Outcome> {
    let job = session.client.job(&arguments.job, None).await?;
    match follow(session, job, arguments.timeout).await? {
        Ending::Left(outcome) => Ok(outcome),
        Ending::Final(job) => {
            if let Some(line) = summary::how_to_fetch(&job) {
                session.terminal.note(&line)?;
            }
            if session.json {
                session.terminal.json(&job.json)?;
            }
            Ok(Outcome::of(&job))
        }
    }
}

/// How following a job ended.
pub enum Ending {
    /// The job has ended, and its summary was printed.
    Final(Box<Answer<Job>>),
    /// We stopped looking, by Ctrl-C or after the timeout, and said how to look again.
    Left(Outcome),
}

/// Shows a job's progress until it has ended.
///
/// # Errors
/// The service refuses, or stays away for longer than it takes to start again.
pub async fn follow(session: &mut Session, job: Answer<Job>, timeout: Option<Duration>) -> Result<Ending> {
    follow_until(session, job, timeout, interrupted()).await
}

async fn follow_until(
    session: &mut Session,
    mut job: Answer<Job>,
    timeout: Option<Duration>,
    interruption: impl Future<Output = ()>,
) -> Result<Ending> {
    let began = Instant::now();
    let job_id = job.id.clone();
    let mut view = View::new(session);
    let mut poll = Poll::new(session.client.clone(), &job_id);
    let mut interruption = std::pin::pin!(interruption);
    let mut deadline = std::pin::pin!(at(timeout.and_then(|timeout| began.checked_add(timeout))));
    while !job.status.is_final() {
        view.show(session, &job)?;
        let seen = tokio::select! {
            seen = poll.next() => seen?,
            () = &mut interruption => return leave(session, &view, &job_id, Outcome::Interrupted),
            () = &mut deadline => return leave(session, &view, &job_id, Outcome::TimedOut),
        };
        match seen {
            Seen::Job(seen) => job = *seen,
            Seen::Silence(error) => view.silence(session, &error)?,
        }
    }
    view.end();
    for line in summary::lines(&job) {
        session.terminal.note(&line)?;
    }
    Ok(Ending::Final(Box::new(job)))
}

fn leave(session: &mut Session, view: &View, job_id: &str, outcome: Outcome) -> Result<Ending> {
    view.end();
    let why = if outcome == Outcome::TimedOut { "stopped waiting" } else { "detached" };
    session.terminal.note(&format!("{why}; the job goes on. Follow it again with: gristmill watch {job_id}"))?;
    Ok(Ending::Left(outcome))
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Client;
    use crate::terminal::Terminal;

    #[tokio::test]
    async fn ctrl_c_leaves_the_job_running() {
        let client = Client::new("http://127.0.0.1:9", "gm_test").expect("a client");
        let now = "2026-11-21T00:00:00Z".parse().expect("a time");
        let mut session = Session::new(client, Terminal::to(std::io::sink(), std::io::sink()), false, now);
        let json = r#"{"id": "job_1", "status": "running", "model": "a/b", "created_at": "2026-11-21T00:00:00Z"}"#;
        let job = serde_json::from_str(json).expect("a job");
        let ending = follow_until(&mut session, job, None, std::future::ready(())).await.expect("an ending");
        assert!(matches!(ending, Ending::Left(Outcome::Interrupted)));
    }
}
