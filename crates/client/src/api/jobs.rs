//! Calls on jobs.

use std::time::Duration;

use reqwest::Method;
use uuid::Uuid;

use super::request::Repeat;
use super::{Answer, Client, Job, Page, Result, Submission};

/// Which jobs a list holds. Nothing set: all of the tenant's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    pub status: Option<String>,
    pub name: Option<String>,
    /// Pairs that the job's metadata must have.
    pub metadata: Vec<(String, String)>,
}

impl Client {
    /// Submits a job.
    ///
    /// It is safe to repeat, and is repeated, because it always carries an `Idempotency-Key`: the given one, or a new one.
    pub async fn submit(&self, submission: &Submission, idempotency_key: Option<&str>) -> Result<Answer<Job>> {
        let idempotency_key = idempotency_key.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        let request =
            self.request(Method::POST, &["v1", "jobs"]).header("Idempotency-Key", idempotency_key).json(submission);
        self.call(request, Repeat::Safe).await
    }

    /// A job as it stands; with `wait` the service may hold the answer back until something changes, for that many whole
    /// seconds, at most half of the client's answer timeout.
    pub async fn job(&self, job_id: &str, wait: Option<Duration>) -> Result<Answer<Job>> {
        let seconds = wait.map(|wait| wait.min(self.builder.answer_timeout / 2).as_secs());
        self.fetch(self.get(&["v1", "jobs", job_id]).query(&[("wait", seconds)])).await
    }

    /// A page of jobs, newest first.
    pub async fn jobs(&self, filter: &JobFilter, limit: u32, cursor: Option<&str>) -> Result<Page<Job>> {
        let metadata: Vec<_> = filter.metadata.iter().map(|(key, value)| (format!("metadata.{key}"), value)).collect();
        let request = self
            .get(&["v1", "jobs"])
            .query(&[("status", filter.status.as_deref()), ("name", filter.name.as_deref()), ("cursor", cursor)])
            .query(&[("limit", limit)])
            .query(&metadata);
        self.fetch(request).await
    }

    /// Asks a job to stop for good; the rows that are done stay done. Asking twice is the same as once.
    pub async fn cancel(&self, job_id: &str) -> Result<Answer<Job>> {
        self.verb(job_id, "cancel", Repeat::Safe).await
    }

    /// Asks a job to stand still.
    pub async fn pause(&self, job_id: &str) -> Result<Answer<Job>> {
        self.verb(job_id, "pause", Repeat::IfNotDone).await
    }

    /// Lets a paused job go on.
    pub async fn resume(&self, job_id: &str) -> Result<Answer<Job>> {
        self.verb(job_id, "resume", Repeat::IfNotDone).await
    }

    async fn verb(&self, job_id: &str, verb: &str, repeat: Repeat) -> Result<Answer<Job>> {
        self.call(self.request(Method::POST, &["v1", "jobs", job_id, verb]), repeat).await
    }
}
