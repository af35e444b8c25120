//! What every provider family can do in real time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::failure::{Class, Failure};
use domain::job::spec::Params;
use domain::outcome::Usage;
use domain::prompt::Message;
use domain::provider;
use futures::future::BoxFuture;
use secrecy::SecretString;

use crate::BatchDriver;
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

impl Reply {
    /// No answer, nothing used, and no reply to tell of.
    pub fn without_answer(failure: Failure) -> Self {
        Self { result: Err(failure), refusal: None, usage: None, http_status: None, request_id: None }
    }

    /// What can't be read as a reply.
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::without_answer(Failure::new(Class::Transient, "invalid_provider_response", why))
    }
}

/// A provider family's wire format.
///
/// A driver sends each call once: it never retries, waits or follows a redirect. It reads no more than a bounded reply, and
/// answers within the timeout.
pub trait Driver: Send + Sync {
    /// The part of a request that is the same for every row of a job.
    fn prepare(&self, params: &Params) -> Bytes;

    /// One call, for one item.
    fn chat<'a>(&'a self, prepared: &'a Bytes, messages: &'a [Message]) -> BoxFuture<'a, Reply>;
}

/// Where a model is called.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub base_url: String,
    pub secret: Option<SecretString>,
    /// The provider's own name of the model.
    pub upstream_model: String,
    /// Bound on an answer where the job names none and the provider needs one.
    pub max_output_tokens: Option<u32>,
    pub timeout: Duration,
    /// Settings of the driver, as the provider record has them.
    pub options: BTreeMap<String, String>,
}

/// A model's drivers.
#[derive(Clone)]
pub struct Connection {
    pub realtime: Arc<dyn Driver>,
    /// `None`: this family has no batch API.
    pub batch: Option<Arc<dyn BatchDriver>>,
}

/// The drivers of a model.
pub fn connect(kind: provider::Driver, http: HttpClient, endpoint: Endpoint) -> Connection {
    match kind {
        provider::Driver::Openai => crate::openai::connect(http, endpoint),
        provider::Driver::AzureOpenai => crate::azure_openai::connect(http, endpoint),
        provider::Driver::Anthropic => crate::anthropic::connect(http, endpoint),
        provider::Driver::Gemini => crate::gemini::connect(http, endpoint),
        provider::Driver::Mistral => crate::mistral::connect(http, endpoint),
        provider::Driver::Groq => crate::groq::connect(http, endpoint),
        provider::Driver::Together => crate::together::connect(http, endpoint),
        provider::Driver::OpenaiCompatible => crate::openai::compatible(http, endpoint),
    }
}
