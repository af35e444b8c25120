//! What every provider family can do.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::failure::Failure;
use domain::job::spec::Params;
use domain::outcome::Usage;
use domain::prompt::Message;
use domain::provider;
use secrecy::SecretString;

use crate::client::HttpClient;

/// A model's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    /// The provider's word for why it stopped.
    pub finish_reason: Option<String>,
}

/// What came of one call. Usage is billed whether it succeeded or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub result: Result<Answer, Failure>,
    /// The words of a refusal, kept beside the failure.
    pub refusal: Option<String>,
    /// `None` where the provider gave none, or none that can be believed; the cost is unknown then.
    pub usage: Option<Usage>,
    /// `None` if there was no reply.
    pub http_status: Option<u16>,
    /// The provider's name for the call.
    pub request_id: Option<String>,
}

/// A provider family's wire format.
///
/// A driver sends each call once: it never retries, waits or follows a redirect. It reads no more than a bounded reply, and
/// answers within the timeout.
pub trait Driver: Send + Sync {
    /// The part of a request that is the same for every row of a job.
    fn prepare(&self, params: &Params) -> Bytes;

    /// One call, for one item.
    fn chat<'a>(
        &'a self,
        prepared: &'a Bytes,
        messages: &'a [Message],
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;
}

/// Where a model is called.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub base_url: String,
    pub secret: Option<SecretString>,
    /// The provider's own name of the model.
    pub upstream_model: String,
    pub timeout: Duration,
}

/// The driver of a model.
pub fn connect(kind: provider::Driver, http: HttpClient, endpoint: Endpoint) -> Arc<dyn Driver> {
    match kind {
        provider::Driver::Openai => {
            Arc::new(openai_driver(http, endpoint, crate::openai::MaxTokens::MaxCompletionTokens))
        }
        provider::Driver::OpenaiCompatible => {
            Arc::new(openai_driver(http, endpoint, crate::openai::MaxTokens::MaxTokens))
        }
    }
}

fn openai_driver(http: HttpClient, endpoint: Endpoint, max_tokens: crate::openai::MaxTokens) -> crate::openai::OpenAi {
    crate::openai::OpenAi::new(http, endpoint, max_tokens)
}
