//! OpenAI's wire format, and that of the many servers that speak it.
//!
//! Source of the protocol facts: OpenAI's API reference (<https://platform.openai.com/docs/api-reference>).

pub(crate) mod batch;
pub(crate) mod completion;
pub(crate) mod encode;
pub(crate) mod error;
pub(crate) mod realtime;

use std::sync::Arc;

use domain::job::spec::Params;
use reqwest::header::AUTHORIZATION;
use secrecy::ExposeSecret;

use self::batch::{Jobs, OpenAiBatch};
use self::completion::Classify;
use self::realtime::Chat;
use crate::client::{Api, HttpClient, secret_header};
use crate::driver::{Connection, Endpoint};

/// OpenAI itself.
pub(crate) fn connect(http: HttpClient, endpoint: Endpoint) -> Connection {
    let dialect = Dialect {
        prepare: |model, params| encode::prepare(model, params, MaxTokens::MaxCompletionTokens),
        classify: error::classify,
    };
    family(bearer(http, &endpoint), endpoint.upstream_model, dialect, batch::OPENAI)
}

/// Any server with `/chat/completions`.
pub(crate) fn compatible(http: HttpClient, endpoint: Endpoint) -> Connection {
    let dialect = Dialect {
        prepare: |model, params| encode::prepare(model, params, MaxTokens::MaxTokens),
        classify: error::classify,
    };
    let chat = Chat::new(bearer(http, &endpoint), endpoint.upstream_model, dialect);
    Connection { realtime: Arc::new(chat), batch: None }
}

/// A provider with OpenAI's files and batches.
pub(crate) fn family(api: Api, model: String, dialect: Dialect, jobs: Jobs) -> Connection {
    Connection {
        realtime: Arc::new(Chat::new(api.clone(), model.clone(), dialect)),
        batch: Some(Arc::new(OpenAiBatch::new(api, model, dialect, jobs))),
    }
}

/// An API that takes its key as a bearer token.
pub(crate) fn bearer(http: HttpClient, endpoint: &Endpoint) -> Api {
    let secret = endpoint.secret.as_ref();
    let key = secret.and_then(|secret| secret_header(AUTHORIZATION, &format!("Bearer {}", secret.expose_secret())));
    Api::new(http, &endpoint.base_url, key, endpoint.timeout)
}

/// What differs between servers in chat completions.
#[derive(Clone, Copy)]
pub(crate) struct Dialect {
    /// A model's request up to its messages.
    pub prepare: fn(&str, &Params) -> Vec<u8>,
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
