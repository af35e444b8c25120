//! Azure OpenAI: OpenAI's wire format with a deployment for a model, its own key header, and files that are checked before use.
//!
//! Source of the protocol facts: <https://learn.microsoft.com/azure/ai-foundry/openai/how-to/batch>. The base URL is that of the v1 API,
//! `https://{resource}.openai.azure.com/openai/v1`.

mod batch;

use reqwest::header::HeaderName;
use secrecy::ExposeSecret;

use crate::client::{Api, HttpClient, secret_header};
use crate::driver::{Connection, Endpoint};
use crate::openai::{DIALECT, batch::OpenAiJobs, with_jobs};

pub(crate) fn connect(http: HttpClient, endpoint: Endpoint) -> Connection {
    let secret = endpoint.secret.as_ref();
    let key = secret.and_then(|key| secret_header(HeaderName::from_static("api-key"), key.expose_secret()));
    let api = Api::new(http, &endpoint.base_url, key, endpoint.timeout);
    let variant = batch::variant(&endpoint.options);
    let jobs = OpenAiJobs::new(api.clone(), endpoint.upstream_model.clone(), DIALECT, variant);
    with_jobs(api, endpoint.upstream_model, jobs)
}
