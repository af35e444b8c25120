//! `POST /chat/completions`.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Request, body};

use super::completion::{Completion, Content, ReportedUsage};
use super::error::ApiError;
use super::request::ChatRequest;
use super::value::{Fields, Value};
use super::{authenticate, bearer, key_tail};
use crate::answer::echo;
use crate::arrival::{Arrival, Identity};
use crate::config::Config;
use crate::fault::{self, Fault};
use crate::limits::{Levels, Permit};
use crate::log;
use crate::reply::{LONGEST, Payload, Reply};
use crate::server::{ConnectionClosed, HttpResponse};
use crate::state::Sandbox;

/// The largest body read.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// All that is decided about a request when it arrives.
struct Decision {
    reply: Reply,
    fault: Option<&'static str>,
    prompt_tokens: u64,
    levels: Levels,
    permit: Option<Permit>,
}

/// Decides, logs, works, answers; in this order.
pub(crate) async fn completions(
    sandbox: &Arc<Sandbox>,
    request: Request<body::Incoming>,
) -> Result<HttpResponse, ConnectionClosed> {
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    let arrival = Arrival::new(sandbox);
    let config = sandbox.config();
    let meeting = Meeting {
        sandbox,
        config: &config,
        arrival: &arrival,
        key: bearer(&parts.headers),
        identity: Identity::new(sandbox, body.as_deref().unwrap_or_default()),
    };
    let (reply, permit) = meeting.decide_and_log(body.as_deref());
    drop(body);

    if let Payload::Silence = reply.payload {
        let _waiting = arrival.waiting();
        tokio::time::sleep(LONGEST).await;
        return Err(ConnectionClosed);
    }
    let work = work_time(&config, &reply, arrival.seq);
    if !work.is_zero() {
        let waiting = arrival.waiting();
        tokio::time::sleep(work).await;
        waiting.over();
    }
    let seq = arrival.seq;
    reply.into_response(seq, (arrival, permit)).ok_or(ConnectionClosed)
}

/// The body, or None where it is too large.
async fn read(body: body::Incoming) -> Result<Option<Bytes>, ConnectionClosed> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(Some(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(None),
        // The client went away before the request was whole: nothing has arrived.
        Err(_) => Err(ConnectionClosed),
    }
}

/// Only what is billed is worked on; errors come at once.
fn work_time(config: &Config, reply: &Reply, seq: u64) -> Duration {
    if reply.billed_tokens.is_none() {
        return Duration::ZERO;
    }
    let jitter = match config.latency_jitter_ms {
        0 => 0,
        most => fault::split_mix(config.seed ^ seq) % most.saturating_add(1),
    };
    Duration::from_millis(config.latency_ms.saturating_add(jitter)) + reply.delay
}

fn parse(body: &[u8]) -> Result<Fields<'_>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(ApiError::not_json()),
    }
}

/// One request and the sandbox that it meets.
struct Meeting<'a> {
    sandbox: &'a Sandbox,
    config: &'a Config,
    arrival: &'a Arrival,
    key: Option<&'a str>,
    identity: Identity<'a>,
}

impl Meeting<'_> {
    /// Decides and logs. A reply that cannot be logged is not given.
    fn decide_and_log(&self, body: Option<&[u8]>) -> (Reply, Option<Permit>) {
        let fields = body.ok_or_else(|| ApiError::too_large(MAX_BODY_BYTES)).and_then(parse);
        let decision = match &fields {
            Ok(fields) => self.decide(fields).unwrap_or_else(Decision::from),
            Err(error) => error.clone().into(),
        };
        let model = fields.as_ref().ok().and_then(|fields| fields.text("model"));
        if let Err(error) = self.log(model, &decision) {
            tracing::error!(%error, "sandbox cannot write its oracle log");
            return (ApiError::log_failed().into(), None);
        }
        let mut reply = decision.reply;
        let billed = reply.billed_tokens.map(|tokens| (decision.prompt_tokens, tokens));
        let status = reply.sent_status();
        self.sandbox.counters().decide(status, billed, decision.fault);
        if self.config.rate_limit_headers {
            reply = decision.levels.put_on(reply);
        }
        (reply, decision.permit)
    }

    fn log(&self, model: Option<&str>, decision: &Decision) -> io::Result<()> {
        let Some(log) = &self.sandbox.log else {
            return Ok(());
        };
        log.append(&log::Request {
            seq: self.arrival.seq,
            at_ms: self.arrival.at.unix_ms,
            key_tail: self.key.map(|key| Cow::Borrowed(key_tail(key))),
            model: model.map(Cow::Borrowed),
            request_sha256: Cow::Owned(self.identity.digest().hex()),
            delivery: self.identity.delivery(),
            prompt_tokens: decision.prompt_tokens,
            completion_tokens: decision.reply.billed_tokens.unwrap_or(0),
            billed: decision.reply.billed_tokens.is_some(),
            status: decision.reply.sent_status(),
            fault: decision.fault.map(Cow::Borrowed),
            in_flight: self.arrival.in_flight,
        })
    }

    /// Checks the bearer, the request, the model, the context window and the limits; then meets a fault or
    /// answers.
    fn decide(&self, fields: &Fields<'_>) -> Result<Decision, ApiError> {
        let key = authenticate(self.config, self.key)?;
        let request = ChatRequest::new(fields)?;
        let model = self.config.models.get(request.model);
        let model = model.ok_or_else(|| ApiError::unknown_model(request.model))?;
        let prompt_tokens = request.prompt_tokens();
        let answer_tokens = request.max_tokens.unwrap_or(0);
        let tokens = prompt_tokens.saturating_add(answer_tokens);
        if tokens > model.context_tokens {
            return Err(ApiError::context_length(prompt_tokens, answer_tokens, model.context_tokens));
        }
        let (permit, levels) = if model.is_limited() {
            let now = self.arrival.at.instant;
            match self.sandbox.limiter.admit((request.model, model), key, tokens, now) {
                Ok((permit, levels)) => (Some(permit), levels),
                Err(refused) => {
                    return Ok(Decision {
                        levels: refused.levels,
                        prompt_tokens,
                        ..Decision::from(Reply::from(refused))
                    });
                }
            }
        } else {
            (None, Levels::default())
        };
        let fault = self.fault(&request)?;
        Ok(Decision {
            reply: self.reply(&request, prompt_tokens, fault.as_ref()),
            fault: fault.map(|fault| fault.name()),
            prompt_tokens,
            levels,
            permit,
        })
    }

    /// A marker's fault, or else a configured one.
    fn fault(&self, request: &ChatRequest<'_>) -> Result<Option<Fault>, ApiError> {
        let by_marker = fault::from_texts(request.texts(), || self.identity.delivery())
            .map_err(|error| ApiError::invalid_marker(&error))?;
        if by_marker.is_some() {
            return Ok(by_marker);
        }
        let mut configured = self.config.faults.iter().enumerate();
        let met = configured.find(|(index, fault)| {
            let (digest, delivery) = (self.identity.digest(), self.identity.delivery());
            fault.meets(request.model, digest, delivery, self.config.seed, *index)
        });
        Ok(met.map(|(_, configured)| configured.fault.clone()))
    }

    fn reply(&self, request: &ChatRequest<'_>, prompt_tokens: u64, fault: Option<&Fault>) -> Reply {
        let prompt = request.prompt();
        let answer = echo(&prompt, self.config.answer_bytes, request.max_tokens);
        let completion = Completion {
            seq: self.arrival.seq,
            created: self.arrival.at.unix_ms / 1000,
            model: request.model,
            content: Content::Text(&answer.text),
            finish_reason: if answer.truncated { "length" } else { "stop" },
            prompt_tokens,
            usage: ReportedUsage::True,
        };
        match fault {
            Some(fault) => fault::apply(fault, completion, self.arrival.at.unix_ms),
            None => Reply::answer(&completion),
        }
    }
}

impl From<Reply> for Decision {
    fn from(reply: Reply) -> Self {
        Self { reply, fault: None, prompt_tokens: 0, levels: Levels::default(), permit: None }
    }
}

impl From<ApiError> for Decision {
    fn from(error: ApiError) -> Self {
        Reply::from(error).into()
    }
}
