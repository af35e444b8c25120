//! Together AI: chat completions as most speak them, and jobs of its own.
//!
//! Source of the protocol facts: <https://github.com/togethercomputer/openapi>.

mod batch;

use self::batch::TogetherJobs;
use crate::client::HttpClient;
use crate::driver::{Connection, Endpoint};
use crate::openai::{bearer, with_jobs};

pub(crate) fn connect(http: HttpClient, endpoint: Endpoint) -> Connection {
    let api = bearer(http, &endpoint);
    let jobs = TogetherJobs::new(api.clone(), endpoint.upstream_model.clone());
    with_jobs(api, endpoint.upstream_model, jobs)
}
