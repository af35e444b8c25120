//! `/files` and `/batches`, as OpenAI has them.

use std::borrow::Cow;

use bytes::Bytes;
use domain::failure::{Class, Failure};
use domain::job::spec::Params;
use serde::{Deserialize, Serialize};

use super::job::{Job, TAG};
use super::list::Named;
use super::rest::Rest;
use super::{Jobs, encode};
use crate::call_error::parse;
use crate::client::{Api, Form};
use crate::list::{add, goes_back_before};
use crate::openai::Dialect;
use crate::{CallError, EncodedFile, Found, NewBatch, Polled, Wanted};

pub(crate) struct OpenAiJobs {
    rest: Rest,
    model: String,
    dialect: Dialect,
    variant: Variant,
}

/// What differs between providers with these jobs.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
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

/// The form fields of an upload that let a file expire, should it never be deleted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry {
    pub anchor: &'static str,
    pub seconds: &'static str,
}

/// Seconds that an uploaded file is kept, 14 days: Azure takes no less, and no job lasts as long.
const INPUT_S: &str = "1209600";
/// Seconds that results are kept, 30 days: no provider takes more.
const OUTPUT_S: u32 = 2_592_000;

/// OpenAI itself.
pub(crate) const OPENAI: Variant = Variant {
    endpoint: Cow::Borrowed("/v1/chat/completions"),
    window: |_| "24h".to_owned(),
    expiry: Some(Expiry { anchor: "expires_after[anchor]", seconds: "expires_after[seconds]" }),
    media_type: "application/jsonl",
    checks_files: false,
    least_poll_s: 1,
};

#[derive(Serialize)]
struct Create<'a> {
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
    status: Option<String>,
    status_details: Option<String>,
}

impl OpenAiJobs {
    pub fn new(api: Api, model: String, dialect: Dialect, variant: Variant) -> Self {
        Self { rest: Rest { api, classify: dialect.classify }, model, dialect, variant }
    }
}

impl Jobs for OpenAiJobs {
    fn rest(&self) -> &Rest {
        &self.rest
    }

    fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn least_poll_s(&self) -> u32 {
        self.variant.least_poll_s
    }

    fn prepare(&self, params: &Params) -> Bytes {
        let url = serde_json::Value::from(&*self.variant.endpoint);
        let head = format!(r#""method":"POST","url":{url},"#);
        encode::prepare_line(&head, &(self.dialect.prepare)(&self.model, params))
    }

    async fn upload(&self, file: &EncodedFile<'_>) -> Result<String, CallError> {
        let mut fields = vec![("purpose", "batch")];
        if let Some(expiry) = self.variant.expiry {
            fields.extend([(expiry.anchor, "created_at"), (expiry.seconds, INPUT_S)]);
        }
        let form = Form { fields: &fields, file: *file, media_type: self.variant.media_type };
        self.rest.upload(&["files"], form).await
    }

    async fn is_ready(&self, file: &str) -> Result<bool, CallError> {
        if !self.variant.checks_files {
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

    async fn create(&self, file: &str, batch: &NewBatch<'_>) -> Result<String, CallError> {
        let expires_after = ExpiresAfter { anchor: "created_at", seconds: OUTPUT_S };
        let body = Create {
            input_file_id: file,
            endpoint: &self.variant.endpoint,
            completion_window: (self.variant.window)(batch.window_s),
            metadata: serde_json::json!({ TAG: batch.tag }),
            output_expires_after: self.variant.expiry.map(|_| expires_after),
        };
        self.rest.create(&["batches"], &body).await
    }

    async fn find(&self, wanted: &Wanted<'_>) -> Result<Vec<Found>, CallError> {
        let mut found = Vec::new();
        let look = |jobs: &[Job]| {
            let ours = jobs.iter().filter(|job| job.is(wanted));
            add(&mut found, ours.map(|job| Found { id: job.id.clone(), certain: true }));
            !goes_back_before(wanted, jobs.iter().map(Job::created_at))
        };
        self.rest.pages(&["batches"], &[("limit", "100")], look).await?;
        Ok(found)
    }

    async fn poll(&self, id: &str) -> Result<Polled, CallError> {
        parse::<Job>(&self.rest.get(&["batches", id]).await?).map(Job::polled)
    }

    async fn cancel(&self, id: &str) -> Result<(), CallError> {
        self.rest.cancel(&["batches", id, "cancel"]).await
    }

    async fn find_files(&self, name: &str) -> Result<Vec<String>, CallError> {
        let mut found = Vec::new();
        let look = |files: &[Named]| {
            add(&mut found, files.iter().filter(|file| file.is_named(name)).map(|file| file.id.clone()));
            true
        };
        self.rest.pages(&["files"], &[("purpose", "batch"), ("limit", "1000")], look).await?;
        Ok(found)
    }
}
