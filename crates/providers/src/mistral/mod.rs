//! Mistral: nearly OpenAI's chat completions, and jobs of its own.
//!
//! Source of the protocol facts: Mistral's API reference (<https://docs.mistral.ai/api>). The base URL ends in `/v1`.

mod batch;
mod encode;
mod error;

use self::batch::MistralJobs;
use crate::client::HttpClient;
use crate::driver::{Connection, Endpoint};
use crate::openai::{Dialect, Prefill, bearer, with_jobs};

const DIALECT: Dialect = Dialect {
    prepare: |model, params| encode::prepare(Some(model), params),
    prefill: Prefill::Marked,
    classify: error::classify,
};

pub(crate) fn connect(http: HttpClient, endpoint: Endpoint) -> Connection {
    let api = bearer(http, &endpoint);
    let jobs = MistralJobs::new(api.clone(), endpoint.upstream_model.clone());
    with_jobs(api, endpoint.upstream_model, jobs)
}
