//! OpenAI's wire format, and that of the many servers that speak it.
//!
//! Source of the protocol facts: OpenAI's API reference (<https://platform.openai.com/docs/api-reference>).

pub(crate) mod batch;
mod completion;
pub(crate) mod encode;
pub(crate) mod error;
mod realtime;

use std::sync::Arc;

use domain::job::spec::Params;
use reqwest::header::AUTHORIZATION;
use secrecy::ExposeSecret;

use self::batch::{FileBatches, Jobs, OPENAI, OpenAiJobs};
use self::error::Classify;
use self::realtime::Chat;
use crate::client::{Api, HttpClient, secret_header};
use crate::driver::{Connection, Endpoint};

/// What differs between servers in chat completions.
#[derive(Clone, Copy)]
pub(crate) struct Dialect {
    /// A model's request up to its messages.
    pub prepare: fn(&str, &Params) -> Vec<u8>,
    pub prefill: Prefill,
    pub classify: Classify,
}

/// How a server calls the bound on the answer's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaxTokens {
    /// OpenAI's own; its reasoning models refuse the other.
    MaxCompletionTokens,
    /// What everybody else knows.
    MaxTokens,
}

/// How a last message by the assistant is written, which the answer goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefill {
    Plain,
    /// It says that it is one.
    Marked,
}

/// OpenAI's own.
pub(crate) const DIALECT: Dialect = Dialect {
    prepare: |model, params| encode::prepare(model, params, MaxTokens::MaxCompletionTokens),
    prefill: Prefill::Plain,
    classify: error::classify,
};

/// What most others speak.
pub(crate) const COMPATIBLE: Dialect =
    Dialect { prepare: |model, params| encode::prepare(model, params, MaxTokens::MaxTokens), ..DIALECT };

/// OpenAI itself.
pub(crate) fn connect(http: HttpClient, endpoint: Endpoint) -> Connection {
    let api = bearer(http, &endpoint);
    let jobs = OpenAiJobs::new(api.clone(), endpoint.upstream_model.clone(), DIALECT, OPENAI);
    with_jobs(api, endpoint.upstream_model, jobs)
}

/// Any server with `/chat/completions`.
pub(crate) fn compatible(http: HttpClient, endpoint: Endpoint) -> Connection {
    let chat = Chat::new(bearer(http, &endpoint), endpoint.upstream_model, COMPATIBLE);
    Connection { realtime: Arc::new(chat), batch: None }
}

/// Chat completions, and jobs of the same dialect.
pub(crate) fn with_jobs(api: Api, model: String, jobs: impl Jobs) -> Connection {
    Connection { realtime: Arc::new(Chat::new(api, model, jobs.dialect())), batch: Some(Arc::new(FileBatches(jobs))) }
}

/// An API that takes its key as a bearer token.
pub(crate) fn bearer(http: HttpClient, endpoint: &Endpoint) -> Api {
    let secret = endpoint.secret.as_ref();
    let key = secret.and_then(|secret| secret_header(AUTHORIZATION, &format!("Bearer {}", secret.expose_secret())));
    Api::new(http, &endpoint.base_url, key, endpoint.timeout)
}
