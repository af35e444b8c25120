//! Groq: OpenAI's wire format with a longer window and an overload of its own.
//!
//! Source of the protocol facts: <https://console.groq.com/docs/api-reference>.

mod batch;
mod error;

use crate::client::HttpClient;
use crate::driver::{Connection, Endpoint};
use crate::openai::batch::OpenAiJobs;
use crate::openai::{DIALECT, Dialect, bearer, with_jobs};

pub(crate) fn connect(http: HttpClient, endpoint: Endpoint) -> Connection {
    let dialect = Dialect { classify: error::classify, ..DIALECT };
    let api = bearer(http, &endpoint);
    let jobs = OpenAiJobs::new(api.clone(), endpoint.upstream_model.clone(), dialect, batch::VARIANT);
    with_jobs(api, endpoint.upstream_model, jobs)
}
