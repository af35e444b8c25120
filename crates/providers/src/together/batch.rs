//! `/files/upload` and `/batches`.

use bytes::Bytes;
use domain::job::spec::Params;
use domain::provider_batch::{RemoteStatus, ValidationError};
use serde::{Deserialize, Serialize};

use crate::call_error::parse;
use crate::client::{Api, Form};
use crate::lenient::lenient;
use crate::openai::batch::{Jobs, Named, Rest, files, status};
use crate::openai::encode::prepare_line;
use crate::openai::{COMPATIBLE, Dialect};
use crate::{CallError, EncodedFile, Found, NewBatch, Polled, Wanted};

pub(super) struct TogetherJobs {
    rest: Rest,
    model: String,
}

#[derive(Serialize)]
struct Create<'a> {
    input_file_id: &'a str,
    endpoint: &'static str,
    completion_window: &'static str,
}

/// What is missing, null, empty or of another shape is absent. There are no counts and there is no metadata.
#[derive(Deserialize)]
struct Job {
    id: String,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    input_file_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    output_file_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    error_file_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<String>,
}

/// All at once: no list has pages.
#[derive(Deserialize)]
#[serde(untagged)]
enum List<T> {
    Bare(Vec<T>),
    Wrapped { data: Option<Vec<T>> },
}

impl<T> List<T> {
    fn entries(self) -> Vec<T> {
        match self {
            Self::Bare(entries) => entries,
            Self::Wrapped { data } => data.unwrap_or_default(),
        }
    }
}

impl TogetherJobs {
    pub fn new(api: Api, model: String) -> Self {
        Self { rest: Rest { api, classify: COMPATIBLE.classify }, model }
    }
}

impl Job {
    fn polled(self) -> Polled {
        let status = status(self.status.as_deref().unwrap_or_default());
        let error = self.error.filter(|message| status == RemoteStatus::Failed && !message.is_empty());
        let error = error.map(|message| ValidationError { code: "job_failed".to_owned(), message, line: None });
        let files = files(self.output_file_id, self.error_file_id);
        Polled { status, files, errors: error.into_iter().collect(), done: None }
    }
}

impl Jobs for TogetherJobs {
    fn rest(&self) -> &Rest {
        &self.rest
    }

    fn dialect(&self) -> Dialect {
        COMPATIBLE
    }

    fn prepare(&self, params: &Params) -> Bytes {
        prepare_line("", &(COMPATIBLE.prepare)(&self.model, params))
    }

    async fn upload(&self, file: &EncodedFile<'_>) -> Result<String, CallError> {
        let fields = [("purpose", "batch-api"), ("file_name", file.name), ("file_type", "jsonl")];
        let form = Form { fields: &fields, file: *file, media_type: "application/jsonl" };
        self.rest.upload(&["files", "upload"], form).await
    }

    async fn create(&self, file: &str, _batch: &NewBatch<'_>) -> Result<String, CallError> {
        let body = Create { input_file_id: file, endpoint: "/v1/chat/completions", completion_window: "24h" };
        self.rest.create(&["batches"], &body).await
    }

    /// A file is read by one provider batch only, so it is the tag.
    async fn find(&self, wanted: &Wanted<'_>) -> Result<Vec<Found>, CallError> {
        let jobs: List<Job> = parse(&self.rest.list(&["batches"], &[]).await?)?;
        let ours = |job: &Job| wanted.file.is_some() && job.input_file_id.as_deref() == wanted.file;
        Ok(jobs.entries().into_iter().filter(ours).map(|job| Found { id: job.id, certain: true }).collect())
    }

    async fn poll(&self, id: &str) -> Result<Polled, CallError> {
        parse::<Job>(&self.rest.get(&["batches", id]).await?).map(Job::polled)
    }

    async fn cancel(&self, id: &str) -> Result<(), CallError> {
        self.rest.cancel(&["batches", id, "cancel"]).await
    }

    async fn find_files(&self, name: &str) -> Result<Vec<String>, CallError> {
        let files: List<Named> = parse(&self.rest.list(&["files"], &[]).await?)?;
        Ok(files.entries().into_iter().filter(|file| file.is_named(name)).map(|file| file.id).collect())
    }
}
