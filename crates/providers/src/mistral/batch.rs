//! `/files` and `/batch/jobs`.

use bytes::Bytes;
use chrono::SecondsFormat;
use domain::job::spec::Params;
use domain::provider_batch::{RemoteStatus, ValidationError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{DIALECT, encode};
use crate::call_error::parse;
use crate::client::{Api, Form};
use crate::lenient::lenient;
use crate::list::{CLOCK_SLACK, MAX_PAGES, add, goes_back_before, too_long};
use crate::openai::Dialect;
use crate::openai::batch::{Jobs, Named, Rest, TAG, Time, files, has_tag};
use crate::openai::encode::prepare_line;
use crate::{CallError, EncodedFile, Found, NewBatch, Polled, Wanted};

pub(super) struct MistralJobs {
    rest: Rest,
    model: String,
}

#[derive(Serialize)]
struct Create<'a> {
    input_files: [&'a str; 1],
    endpoint: &'static str,
    model: &'a str,
    metadata: serde_json::Value,
    timeout_hours: u32,
}

/// What is missing, null, empty or of another shape is absent.
#[derive(Deserialize)]
struct Job {
    id: String,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    input_files: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    output_file: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    error_file: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    errors: Option<Vec<JobError>>,
    #[serde(default, deserialize_with = "lenient")]
    created_at: Option<Time>,
    #[serde(default, deserialize_with = "lenient")]
    completed_requests: Option<u64>,
    metadata: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct JobError {
    message: Option<String>,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Option<Vec<T>>,
    total: Option<usize>,
}

impl MistralJobs {
    pub fn new(api: Api, model: String) -> Self {
        Self { rest: Rest { api, classify: DIALECT.classify }, model }
    }

    /// Shows a list's pages to `look` until it wants no more or the list ends.
    async fn pages<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        mut look: impl FnMut(&[T]) -> bool,
    ) -> Result<(), CallError> {
        let mut seen = 0;
        for number in 0..MAX_PAGES {
            let number = number.to_string();
            let query = [query, &[("page", &number), ("page_size", "100")]].concat();
            let page: Page<T> = parse(&self.rest.list(path, &query).await?)?;
            let entries = page.data.unwrap_or_default();
            seen += entries.len();
            if entries.is_empty() || !look(&entries) || page.total.is_some_and(|total| seen >= total) {
                return Ok(());
            }
        }
        Err(too_long())
    }
}

impl Job {
    fn is(&self, wanted: &Wanted<'_>) -> bool {
        let reads = |file: &str| self.input_files.iter().flatten().any(|input| input == file);
        has_tag(self.metadata.as_ref(), wanted.tag) || wanted.file.is_some_and(reads)
    }

    fn polled(self) -> Polled {
        let errors = self.errors.unwrap_or_default().into_iter().map(|error| ValidationError {
            code: "job_failed".to_owned(),
            message: error.message.unwrap_or_default(),
            line: None,
        });
        Polled {
            status: status(self.status.as_deref().unwrap_or_default()),
            files: files(self.output_file, self.error_file),
            errors: errors.collect(),
            done: self.completed_requests,
        }
    }
}

fn status(word: &str) -> RemoteStatus {
    match word.to_ascii_uppercase().as_str() {
        "QUEUED" => RemoteStatus::Queued,
        "RUNNING" => RemoteStatus::Running,
        "CANCELLATION_REQUESTED" => RemoteStatus::Cancelling,
        "SUCCESS" => RemoteStatus::Done,
        "FAILED" => RemoteStatus::Failed,
        "TIMEOUT_EXCEEDED" => RemoteStatus::Expired,
        "CANCELLED" => RemoteStatus::Cancelled,
        _ => RemoteStatus::Unknown,
    }
}

impl Jobs for MistralJobs {
    fn rest(&self) -> &Rest {
        &self.rest
    }

    fn dialect(&self) -> Dialect {
        DIALECT
    }

    /// A line names no model: its job does.
    fn prepare(&self, params: &Params) -> Bytes {
        prepare_line("", &encode::prepare(None, params))
    }

    async fn upload(&self, file: &EncodedFile<'_>) -> Result<String, CallError> {
        let form = Form { fields: &[("purpose", "batch")], file: *file, media_type: "application/jsonl" };
        self.rest.upload(&["files"], form).await
    }

    async fn create(&self, file: &str, batch: &NewBatch<'_>) -> Result<String, CallError> {
        let body = Create {
            input_files: [file],
            endpoint: "/v1/chat/completions",
            model: &self.model,
            metadata: serde_json::json!({ TAG: batch.tag }),
            timeout_hours: batch.window_s.div_ceil(3_600).clamp(1, 168),
        };
        self.rest.create(&["batch", "jobs"], &body).await
    }

    /// The list's own filter for metadata is left alone: how it wants to be written is not documented, and one that is
    /// misunderstood would find nothing.
    async fn find(&self, wanted: &Wanted<'_>) -> Result<Vec<Found>, CallError> {
        let after = (wanted.since - CLOCK_SLACK).to_rfc3339_opts(SecondsFormat::Secs, true);
        let query = [("created_after", after.as_str()), ("order_by", "-created")];
        let mut found = Vec::new();
        let look = |jobs: &[Job]| {
            let ours = jobs.iter().filter(|job| job.is(wanted));
            add(&mut found, ours.map(|job| Found { id: job.id.clone(), certain: true }));
            !goes_back_before(wanted, jobs.iter().map(|job| job.created_at.as_ref()?.instant()))
        };
        self.pages(&["batch", "jobs"], &query, look).await?;
        Ok(found)
    }

    async fn poll(&self, id: &str) -> Result<Polled, CallError> {
        parse::<Job>(&self.rest.get(&["batch", "jobs", id]).await?).map(Job::polled)
    }

    async fn cancel(&self, id: &str) -> Result<(), CallError> {
        self.rest.cancel(&["batch", "jobs", id, "cancel"]).await
    }

    async fn find_files(&self, name: &str) -> Result<Vec<String>, CallError> {
        let mut found = Vec::new();
        let look = |files: &[Named]| {
            add(&mut found, files.iter().filter(|file| file.is_named(name)).map(|file| file.id.clone()));
            true
        };
        self.pages(&["files"], &[("purpose", "batch")], look).await?;
        Ok(found)
    }
}
