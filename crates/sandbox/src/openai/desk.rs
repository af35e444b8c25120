//! Answers to requests, in real time and in provider batches alike.

use super::completion::{Completion, Content, ReportedUsage};
use super::error::ApiError;
use super::request::ChatRequest;
use super::value::{Fields, Value};
use crate::answer::echo;
use crate::arrival::Identity;
use crate::clock::Moment;
use crate::config::{Config, Model};
use crate::fault::{self, Fault};
use crate::reply::Reply;

/// A valid request to a model on offer, within its context window.
pub(super) struct Asked<'a> {
    pub request: ChatRequest<'a>,
    pub model: &'a Model,
    pub prompt_tokens: u64,
    /// Those and the answer tokens asked for.
    pub tokens: u64,
}

/// Where requests are answered.
pub(super) struct Desk<'a> {
    pub config: &'a Config,
    pub seq: u64,
    pub at: Moment,
    /// Whether it is a second answer, which differs from the first.
    pub again: bool,
}

pub(super) fn parse(body: &[u8]) -> Result<Fields<'_>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(ApiError::not_json()),
    }
}

impl<'a> Asked<'a> {
    /// Checks the request, the model and the context window.
    pub fn new(config: &'a Config, fields: &'a Fields<'_>) -> Result<Self, ApiError> {
        let request = ChatRequest::new(fields)?;
        let model = config.models.get(request.model).ok_or_else(|| ApiError::unknown_model(request.model))?;
        let prompt_tokens = request.prompt_tokens();
        let answer_tokens = request.max_tokens.unwrap_or(0);
        let tokens = prompt_tokens.saturating_add(answer_tokens);
        if tokens > model.context_tokens {
            return Err(ApiError::context_length(prompt_tokens, answer_tokens, model.context_tokens));
        }
        Ok(Self { request, model, prompt_tokens, tokens })
    }
}

impl Desk<'_> {
    /// A marker's fault, or else a configured one.
    pub fn fault(&self, request: &ChatRequest<'_>, identity: &Identity<'_>) -> Result<Option<Fault>, ApiError> {
        let by_marker = fault::from_texts(request.texts(), || identity.delivery())
            .map_err(|error| ApiError::invalid_marker(&error))?;
        if by_marker.is_some() {
            return Ok(by_marker);
        }
        let mut configured = self.config.faults.iter().enumerate();
        let met = configured.find(|(index, fault)| {
            let (digest, delivery) = (identity.digest(), identity.delivery());
            fault.meets(request.model, digest, delivery, self.config.seed, *index)
        });
        Ok(met.map(|(_, configured)| configured.fault.clone()))
    }

    /// The answer, or what the fault makes of it.
    pub fn reply(&self, asked: &Asked<'_>, fault: Option<&Fault>) -> Reply {
        let request = &asked.request;
        let mut prompt = request.prompt();
        if self.again {
            prompt.to_mut().push_str(AGAIN);
        }
        let answer = echo(&prompt, self.config.answer_bytes, request.max_tokens);
        let completion = Completion {
            seq: self.seq,
            created: self.at.unix_ms / 1000,
            model: request.model,
            content: Content::Text(&answer.text),
            finish_reason: if answer.truncated { "length" } else { "stop" },
            prompt_tokens: asked.prompt_tokens,
            usage: ReportedUsage::True,
        };
        match fault {
            Some(fault) => fault::apply(fault, completion, self.at.unix_ms),
            None => Reply::answer(&completion),
        }
    }
}

/// Ends a second answer.
const AGAIN: &str = " (a second answer)";
