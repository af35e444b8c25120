//! `POST /chat/completions`.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, body};

use super::desk::{Asked, Desk, parse};
use super::error::ApiError;
use super::value::Fields;
use super::{Flavour, authenticate, key_tail};
use crate::arrival::{Arrival, Identity};
use crate::call::{self, ReadError};
use crate::config::Config;
use crate::deliveries::REAL_TIME;
use crate::fault;
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
    flavour: Flavour,
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
        key: flavour.key(&parts.headers),
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
    match call::read(body, MAX_BODY_BYTES).await {
        Ok(body) => Ok(Some(body)),
        Err(ReadError::TooLarge) => Ok(None),
        // Nothing has arrived.
        Err(ReadError::Broken) => Err(ConnectionClosed),
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
        let billed = decision.reply.billed_tokens.is_some();
        log.append(&log::Request {
            seq: self.arrival.seq,
            at_ms: self.arrival.at.unix_ms,
            key_tail: self.key.map(|key| Cow::Borrowed(key_tail(key))),
            model: model.map(Cow::Borrowed),
            request_sha256: Cow::Owned(self.identity.digest().hex()),
            delivery: self.identity.delivery(),
            prompt_tokens: decision.prompt_tokens,
            completion_tokens: decision.reply.billed_tokens.unwrap_or(0),
            billed,
            billed_again: billed && self.sandbox.deliveries.buy(self.identity.digest(), REAL_TIME),
            status: decision.reply.sent_status(),
            fault: decision.fault.map(Cow::Borrowed),
            in_flight: self.arrival.in_flight,
        })
    }

    /// Checks the bearer, the request, the model, the context window and the limits; then meets a fault or
    /// answers.
    fn decide(&self, fields: &Fields<'_>) -> Result<Decision, ApiError> {
        let key = authenticate(self.config, self.key)?;
        let asked = Asked::new(self.config, fields)?;
        let (permit, levels) = if asked.model.is_limited() {
            let now = self.arrival.at.instant;
            match self.sandbox.limiter.admit((asked.request.model, asked.model), key, asked.tokens, now) {
                Ok((permit, levels)) => (Some(permit), levels),
                Err(refused) => {
                    return Ok(Decision {
                        levels: refused.levels,
                        prompt_tokens: asked.prompt_tokens,
                        ..Decision::from(Reply::from(refused))
                    });
                }
            }
        } else {
            (None, Levels::default())
        };
        let desk = Desk { seq: self.arrival.seq, at: self.arrival.at, again: false, config: self.config };
        let fault = desk.fault(&asked.request, &self.identity)?;
        Ok(Decision {
            reply: desk.reply(&asked, fault.as_ref()),
            fault: fault.map(|fault| fault.name()),
            prompt_tokens: asked.prompt_tokens,
            levels,
            permit,
        })
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
