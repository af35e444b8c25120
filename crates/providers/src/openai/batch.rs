//! `/files` and `/batches`.

pub(crate) mod job;
mod line;
pub(crate) mod list;
mod rest;

use std::borrow::Cow;
use std::ops::ControlFlow;

use bytes::Bytes;
use domain::failure::{Class, Failure};
use domain::job::spec::Params;
use domain::prompt::Message;
use futures::future::{BoxFuture, FutureExt as _};
use serde::{Deserialize, Serialize};

use self::job::{Job, TAG};
use self::list::Entry;
use self::rest::Rest;
use super::{Dialect, encode};
use crate::call_error::parse;
use crate::client::{Api, Download, Form};
use crate::{BatchDriver, CallError, EncodedFile, Found, Habits, Input, NewBatch, Polled, Reply, Transport, Wanted};

/// What differs between providers with OpenAI's files and batches.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    /// What a provider batch and each of its lines name as their endpoint.
    pub endpoint: Cow<'static, str>,
    /// The time to be done within, of so many seconds.
    pub window: fn(u32) -> String,
    /// Lets files expire. `None`: the provider knows no such thing.
    pub expiry: Option<Expiry>,
    /// The media type of an uploaded file.
    pub media_type: &'static str,
    /// An uploaded file can't be used before it was checked.
    pub checks_files: bool,
    pub least_poll_s: u32,
}

/// How files expire by themselves, should they never be deleted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry {
    /// Form fields of an upload.
    pub anchor: &'static str,
    pub seconds: &'static str,
}

/// Days that an uploaded file is kept: the longest life of a job, twice. Azure takes no less.
const INPUT_DAYS_S: &str = "1209600";
/// Days that results are kept: all that OpenAI allows.
const OUTPUT_DAYS_S: u32 = 30 * 86_400;

pub(super) const OPENAI: Jobs = Jobs {
    endpoint: Cow::Borrowed("/v1/chat/completions"),
    window: |_| "24h".to_owned(),
    expiry: Some(Expiry { anchor: "expires_after[anchor]", seconds: "expires_after[seconds]" }),
    media_type: "application/jsonl",
    checks_files: false,
    least_poll_s: 1,
};

pub(crate) struct OpenAiBatch {
    rest: Rest,
    model: String,
    dialect: Dialect,
    jobs: Jobs,
}

#[derive(Serialize)]
struct CreateBody<'a> {
    input_file_id: &'a str,
    endpoint: &'a str,
    completion_window: String,
    metadata: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_expires_after: Option<ExpiresAfter>,
}

#[derive(Serialize)]
struct ExpiresAfter {
    anchor: &'static str,
    seconds: u32,
}

#[derive(Deserialize)]
struct File {
    id: String,
    filename: Option<String>,
    status: Option<String>,
    status_details: Option<String>,
}

impl Entry for File {
    fn id(&self) -> &str {
        &self.id
    }
}

impl OpenAiBatch {
    pub fn new(api: Api, model: String, dialect: Dialect, jobs: Jobs) -> Self {
        Self { rest: Rest { api, classify: dialect.classify }, model, dialect, jobs }
    }

    async fn upload_file(&self, file: &EncodedFile<'_>) -> Result<String, CallError> {
        let mut fields = vec![("purpose", "batch")];
        if let Some(expiry) = self.jobs.expiry {
            fields.extend([(expiry.anchor, "created_at"), (expiry.seconds, INPUT_DAYS_S)]);
        }
        let form = Form { fields: &fields, file: *file, media_type: self.jobs.media_type };
        self.rest.upload(&["files"], form).await
    }

    async fn file_is_ready(&self, file: &str) -> Result<bool, CallError> {
        if !self.jobs.checks_files {
            return Ok(true);
        }
        let file: File = parse(&self.rest.get(&["files", file]).await?)?;
        match file.status.unwrap_or_default().to_ascii_lowercase().as_str() {
            "processed" => Ok(true),
            "error" => {
                let message = file.status_details.unwrap_or_else(|| "the provider refused the file".to_owned());
                Err(CallError::new(Failure::new(Class::Permanent, "file_rejected", message)))
            }
            _ => Ok(false),
        }
    }

    async fn create_one(&self, batch: &NewBatch<'_>) -> Result<String, CallError> {
        let Input::File(file) = batch.input else {
            let failure = Failure::new(Class::Permanent, "file_needed", "this provider takes requests in a file only");
            return Err(CallError::new(failure));
        };
        let expires_after = ExpiresAfter { anchor: "created_at", seconds: OUTPUT_DAYS_S };
        let body = CreateBody {
            input_file_id: file,
            endpoint: &self.jobs.endpoint,
            completion_window: (self.jobs.window)(batch.window_s),
            metadata: serde_json::json!({ TAG: batch.tag }),
            output_expires_after: self.jobs.expiry.map(|_| expires_after),
        };
        let json = serde_json::to_vec(&body).expect("strings and numbers always serialise");
        let job: Job = parse(&self.rest.create(&["batches"], json).await?)?;
        if job.id.is_empty() { Err(CallError::unreadable("the provider batch has no id")) } else { Ok(job.id) }
    }

    async fn search(&self, wanted: &Wanted<'_>) -> Result<Vec<Found>, CallError> {
        let mut found = Vec::new();
        let look = |jobs: &[Job]| {
            let ours = jobs.iter().filter(|job| job.is(wanted));
            found.extend(ours.map(|job| Found { id: job.id.clone(), certain: true }));
            if job::goes_back_before(wanted, jobs.iter().map(Job::created_at)) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        self.rest.pages(&["batches"], &[("limit", "100")], look).await?;
        found.dedup();
        Ok(found)
    }

    async fn files_named(&self, name: &str) -> Result<Vec<String>, CallError> {
        let mut found = Vec::new();
        let look = |files: &[File]| {
            let ours = files.iter().filter(|file| file.filename.as_deref() == Some(name));
            found.extend(ours.map(|file| file.id.clone()));
            ControlFlow::Continue(())
        };
        self.rest.pages(&["files"], &[("purpose", "batch"), ("limit", "1000")], look).await?;
        found.dedup();
        Ok(found)
    }
}

impl BatchDriver for OpenAiBatch {
    fn habits(&self) -> Habits {
        Habits {
            transport: Transport::File,
            separator: b"\n",
            checks_late: false,
            is_tagged: true,
            least_poll_s: self.jobs.least_poll_s,
        }
    }

    fn prepare(&self, params: &Params) -> Bytes {
        let url = serde_json::Value::from(&*self.jobs.endpoint);
        let head = format!(r#""method":"POST","url":{url},"#);
        encode::prepare_line(&head, &(self.dialect.prepare)(&self.model, params))
    }

    fn encode(&self, prepared: &Bytes, id: &str, messages: &[Message], out: &mut Vec<u8>) {
        encode::line(prepared, id, messages, out);
    }

    fn upload<'a>(&'a self, file: &'a EncodedFile<'a>) -> BoxFuture<'a, Result<String, CallError>> {
        self.upload_file(file).boxed()
    }

    fn is_ready<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<bool, CallError>> {
        self.file_is_ready(file).boxed()
    }

    fn create<'a>(&'a self, batch: &'a NewBatch<'a>) -> BoxFuture<'a, Result<String, CallError>> {
        self.create_one(batch).boxed()
    }

    fn find<'a>(&'a self, wanted: &'a Wanted<'a>) -> BoxFuture<'a, Result<Vec<Found>, CallError>> {
        self.search(wanted).boxed()
    }

    fn poll<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Polled, CallError>> {
        async move { parse::<Job>(&self.rest.get(&["batches", id]).await?).map(Job::polled) }.boxed()
    }

    fn cancel<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), CallError>> {
        async move { self.rest.cancel(&["batches", id, "cancel"]).await }.boxed()
    }

    fn download<'a>(&'a self, file: &'a str, into: &'a mut Download) -> BoxFuture<'a, Result<(), CallError>> {
        self.rest.download(file, into).boxed()
    }

    fn result_id<'a>(&self, line: &'a [u8]) -> Option<Cow<'a, str>> {
        line::id(line)
    }

    fn read(&self, line: &[u8]) -> Reply {
        line::read(line, self.dialect.classify)
    }

    fn delete_file<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<(), CallError>> {
        self.rest.delete_file(file).boxed()
    }

    fn delete<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<(), CallError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn find_files<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, CallError>> {
        self.files_named(name).boxed()
    }
}
