//! Answers to requests, in real time and in provider batches alike.

use crate::answer::echo;
use crate::arrival::Identity;
use crate::asked::Asked;
use crate::clock::Moment;
use crate::completion::{Completion, Content, Finish, ReportedUsage};
use crate::config::{Config, Model};
use crate::family::{Family, Objection};
use crate::fault::{self, Fault};
use crate::reply::Reply;
use crate::value::{Fields, Value};

/// Ends a second answer.
const AGAIN: &str = " (a second answer)";

/// Where a request is answered.
pub(crate) struct Desk<'a, F> {
    pub family: &'a F,
    pub config: &'a Config,
    pub at: Moment,
    /// The request's number, for its id.
    pub seq: u64,
    pub identity: &'a Identity<'a>,
    /// Whether this is a second answer, which differs from the first.
    pub again: bool,
}

/// A valid request to a model on offer, within its context window.
pub(crate) struct Accepted<'a> {
    pub asked: Asked<'a>,
    pub model: &'a Model,
    pub prompt_tokens: u64,
    /// Those and the answer tokens asked for.
    pub tokens: u64,
}

/// A request's body, if it is an object.
pub(crate) fn parse(body: &[u8]) -> Result<Fields<'_>, Objection<'static>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Objection::NotJson),
    }
}

impl<'a, F: Family> Desk<'a, F> {
    /// Checks the request, the model and the context window.
    pub fn accept(&self, fields: &'a Fields<'_>) -> Result<Accepted<'a>, F::Error> {
        let asked = self.family.read(fields)?;
        let object = |objection| self.family.error(&objection);
        let model = self.config.models.get(asked.model);
        let model = model.ok_or_else(|| object(Objection::UnknownModel(asked.model)))?;
        let prompt_tokens = asked.prompt_tokens();
        let answer_tokens = asked.max_tokens.unwrap_or(0);
        let tokens = prompt_tokens.saturating_add(answer_tokens);
        if tokens > model.context_tokens {
            let context_tokens = model.context_tokens;
            return Err(object(Objection::ContextLength { prompt_tokens, answer_tokens, context_tokens }));
        }
        Ok(Accepted { asked, model, prompt_tokens, tokens })
    }

    /// A marker's fault, or else a configured one.
    pub fn fault(&self, asked: &Asked<'_>) -> Result<Option<Fault>, F::Error> {
        let by_marker = fault::from_texts(asked.texts.iter().copied(), || self.identity.delivery())
            .map_err(|error| self.family.error(&Objection::Marker(&error)))?;
        if by_marker.is_some() {
            return Ok(by_marker);
        }
        let mut configured = self.config.faults.iter().enumerate();
        let met = configured.find(|(index, fault)| {
            let (digest, delivery) = (self.identity.digest(), self.identity.delivery());
            fault.meets(asked.model, digest, delivery, self.config.seed, *index)
        });
        Ok(met.map(|(_, configured)| configured.fault.clone()))
    }

    /// The answer, or what the fault makes of it.
    pub fn reply(&self, accepted: &Accepted<'_>, fault: Option<&Fault>) -> Reply {
        let Accepted { asked, model, prompt_tokens, .. } = accepted;
        let mut prompt = asked.prompt();
        if self.again {
            prompt.to_mut().push_str(AGAIN);
        }
        let answer = echo(&prompt, self.config.answer_bytes, asked.max_tokens);
        let completion = Completion {
            seq: self.seq,
            unix_ms: self.at.unix_ms,
            model: asked.model,
            content: Content::Text(&answer.text),
            finish: if answer.truncated { Finish::Length } else { Finish::Stop },
            prompt_tokens: *prompt_tokens,
            cached_tokens: model.cached_tokens.min(*prompt_tokens),
            thinking_tokens: model.thinking_tokens,
            usage: ReportedUsage::True,
        };
        match fault {
            Some(fault) => fault::apply(self.family, fault, completion),
            None => F::answer(&completion),
        }
    }
}
