//! A job as the service tells it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Job {
    /// `job_…`.
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    pub status: JobStatus,
    /// Why it stands as it does, where that needs a word: what a paused job waits for, why a job failed.
    #[serde(default)]
    pub status_reason: Option<Reason>,
    #[serde(default)]
    pub output: JobOutput,
    pub model: ModelNames,
    #[serde(default)]
    pub counts: Counts,
    #[serde(default)]
    pub usage: Usage,
    /// From 0 to 1.
    #[serde(default)]
    pub progress: Option<f64>,
    /// When it will probably have ended.
    #[serde(default)]
    pub eta: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    #[serde(default)]
    pub started_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub finished_at: Option<DateTime<Utc>>,
    /// Why the job itself could not go on.
    #[serde(default)]
    pub error: Option<Reason>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    Queued,
    Planning,
    Running,
    Merging,
    Paused,
    Cancelling,
    Expiring,
    Completed,
    Failed,
    Cancelled,
    Expired,
    /// A state that this client doesn't know. Taken as one that will change.
    #[serde(untagged)]
    Other(String),
}

impl JobStatus {
    pub fn name(&self) -> &str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Running => "running",
            Self::Merging => "merging",
            Self::Paused => "paused",
            Self::Cancelling => "cancelling",
            Self::Expiring => "expiring",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Other(name) => name,
        }
    }

    /// Whether nothing will change any more.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::Expired)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One model, or a ladder of models, cheapest first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ModelNames {
    One(String),
    Ladder(Vec<String>),
}

impl fmt::Display for ModelNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => f.write_str(name),
            Self::Ladder(names) => f.write_str(&names.join(" → ")),
        }
    }
}

/// Where the output is or will be. All are absent until they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JobOutput {
    pub uri: Option<String>,
    pub format: Option<String>,
    pub bytes: Option<u64>,
    pub sha256: Option<String>,
}

/// Rows by how they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// None or 0 until the input has been read: see [`Job::total_rows`].
    pub total: Option<u64>,
    pub pending: Option<u64>,
    pub running: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub expired: u64,
}

impl Job {
    /// How many rows the input has. None until it has been read.
    pub fn total_rows(&self) -> Option<u64> {
        self.counts.total.filter(|total| *total > 0 || self.status.is_final())
    }
}

impl Counts {
    /// Rows with an outcome.
    pub fn done(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled + self.expired
    }
}

/// What was used. Costs are decimal US dollars.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub input_tokens: u64,
    pub cached_input_tokens: u64,
    pub output_tokens: u64,
    /// None where prices are not known.
    pub cost_usd: Option<String>,
    /// What the same would have cost at real-time prices.
    pub realtime_cost_usd: Option<String>,
}

/// Why something is as it is: a code and a sentence, or only the sentence.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Reason {
    Text(String),
    Coded {
        code: Option<String>,
        #[serde(alias = "message")]
        detail: Option<String>,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Coded { code: Some(code), detail: Some(detail) } => write!(f, "{detail} ({code})"),
            Self::Coded { code, detail } => {
                f.write_str(detail.as_deref().or(code.as_deref()).unwrap_or("no reason given"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparse_job_is_read() {
        let text = r#"{"id": "job_1", "status": "queued", "model": "a/b", "created_at": "2026-11-21T00:00:00Z",
            "counts": {"total": null}, "error": null, "novelty": true}"#;
        let mut job: Job = serde_json::from_str(text).expect("a job");
        assert_eq!((&job.status, job.total_rows()), (&JobStatus::Queued, None));
        job.counts.total = Some(0);
        assert_eq!(job.total_rows(), None);
        job.status = JobStatus::Completed;
        assert_eq!(job.total_rows(), Some(0));
    }

    #[test]
    fn an_unknown_status_is_kept_and_is_not_final() {
        let status: JobStatus = serde_json::from_str(r#""dreaming""#).expect("a status");
        assert_eq!(status, JobStatus::Other("dreaming".into()));
        assert!(!status.is_final());
    }

    #[test]
    fn a_reason_is_read_in_each_form() {
        for (json, text) in [
            (r#""broken""#, "broken"),
            (r#"{"code": "bad_csv", "message": "no header"}"#, "no header (bad_csv)"),
            (r#"{"code": "bad_csv", "detail": "no header"}"#, "no header (bad_csv)"),
            (r#"{"code": "bad_csv"}"#, "bad_csv"),
        ] {
            let reason: Reason = serde_json::from_str(json).expect(json);
            assert_eq!(reason.to_string(), text);
        }
    }
}
