//! Asks for a job again and again.

use std::time::Duration;

use tokio::time::Instant;

use crate::api::{Answer, Client, Error, Job, Result};

/// How long the service may hold an answer back. Short, because progress is shown meanwhile.
const LONG_POLL: Duration = Duration::from_secs(2);
/// Between the first two requests; grows by half each time.
const FIRST_GAP: Duration = Duration::from_millis(100);
const LONGEST_GAP: Duration = Duration::from_secs(2);
/// How long the service may be away, for a restart or an update.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a request brought.
pub enum Seen {
    Job(Box<Answer<Job>>),
    /// Nothing yet, for a reason that may pass.
    Silence(Error),
}

pub struct Poll {
    client: Client,
    job_id: String,
    gap: Duration,
    last: Instant,
    /// None where the service does not know it.
    wait: Option<Duration>,
    silent_since: Option<Instant>,
}

impl Poll {
    pub fn new(client: Client, job_id: &str) -> Self {
        Self {
            client,
            job_id: job_id.to_owned(),
            gap: FIRST_GAP,
            last: Instant::now(),
            wait: Some(LONG_POLL),
            silent_since: None,
        }
    }

    /// The job as it stands a little later.
    ///
    /// # Errors
    /// What will not pass by itself, or has not passed in [`PATIENCE`].
    pub async fn next(&mut self) -> Result<Seen> {
        // Counted from the last request's start: an answer that was held back is followed by the next request at once.
        tokio::time::sleep_until(self.last + self.gap).await;
        self.gap = (self.gap * 3 / 2).min(LONGEST_GAP);
        self.last = Instant::now();
        match self.ask().await {
            Ok(job) => {
                self.silent_since = None;
                Ok(Seen::Job(Box::new(job)))
            }
            Err(error) if error.is_transient() => {
                let since = *self.silent_since.get_or_insert(self.last);
                if since.elapsed() < PATIENCE { Ok(Seen::Silence(error)) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    async fn ask(&mut self) -> Result<Answer<Job>> {
        match self.client.job(&self.job_id, self.wait).await {
            Err(Error::Refused { status: 400 | 422, .. }) if self.wait.is_some() => {
                self.wait = None;
                self.client.job(&self.job_id, None).await
            }
            other => other,
        }
    }
}
