//! The course of a real-time request, the same whoever's words it comes in.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, body};

use crate::arrival::{Arrival, Identity};
use crate::call::{self, ReadError};
use crate::config::Config;
use crate::deliveries::REAL_TIME;
use crate::desk::{Desk, parse};
use crate::family::{Family, Objection, key_tail};
use crate::fault;
use crate::limits::{Levels, Permit};
use crate::log;
use crate::reply::{LONGEST, Payload, Reply};
use crate::server::{ConnectionClosed, HttpResponse};
use crate::state::Sandbox;
use crate::value::Fields;

/// All that is decided about a request when it arrives.
struct Decision {
    reply: Reply,
    fault: Option<&'static str>,
    prompt_tokens: u64,
    levels: Levels,
    permit: Option<Permit>,
}

/// Decides, logs, works, answers; in this order.
pub(crate) async fn exchange<F: Family>(
    sandbox: &Arc<Sandbox>,
    request: Request<body::Incoming>,
) -> Result<HttpResponse, ConnectionClosed> {
    let (parts, body) = request.into_parts();
    let family = F::of(&parts);
    let body = read(body, F::MAX_BODY_BYTES).await?;
    let arrival = Arrival::new(sandbox);
    let config = sandbox.config();
    let meeting = Meeting {
        sandbox,
        config: &config,
        arrival: &arrival,
        family: &family,
        key: family.key(&parts.headers),
        identity: Identity::new(sandbox, family.identity(body.as_deref().unwrap_or_default())),
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
    reply.into_response(F::REQUEST_ID, seq, (arrival, permit)).ok_or(ConnectionClosed)
}

/// The body, or None where it is too large.
async fn read(body: body::Incoming, max_bytes: usize) -> Result<Option<Bytes>, ConnectionClosed> {
    match call::read(body, max_bytes).await {
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
struct Meeting<'a, F> {
    sandbox: &'a Sandbox,
    config: &'a Config,
    arrival: &'a Arrival,
    family: &'a F,
    key: Option<&'a str>,
    identity: Identity<'a>,
}

impl<F: Family> Meeting<'_, F> {
    /// Decides and logs. A reply that cannot be logged is not given.
    fn decide_and_log(&self, body: Option<&[u8]>) -> (Reply, Option<Permit>) {
        let max_bytes = F::MAX_BODY_BYTES;
        let fields = body.ok_or(Objection::TooLarge { max_bytes }).and_then(parse);
        let decision = match &fields {
            Ok(fields) => self.decide(fields).unwrap_or_else(|error| self.refusal(error)),
            Err(objection) => self.refusal(self.family.error(objection)),
        };
        let model = fields.as_ref().ok().and_then(|fields| self.family.model(fields));
        if let Err(error) = self.log(model, &decision) {
            tracing::error!(%error, "sandbox cannot write its oracle log");
            return (self.refusal(self.family.error(&Objection::LogFailed)).reply, None);
        }
        let mut reply = decision.reply;
        let billed = reply.billed_tokens.map(|tokens| (decision.prompt_tokens, tokens));
        let status = reply.sent_status();
        self.sandbox.counters().decide(status, billed, decision.fault);
        if self.config.rate_limit_headers {
            reply = F::put_levels(&decision.levels, reply, self.arrival.at);
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

    /// Checks the key, the request, the model, the context window and the limits; then meets a fault or
    /// answers.
    fn decide(&self, fields: &Fields<'_>) -> Result<Decision, F::Error> {
        let key = self.family.authenticate(self.config, self.key)?;
        let Arrival { seq, at, .. } = *self.arrival;
        let (family, config, identity) = (self.family, self.config, &self.identity);
        let desk = Desk { family, config, at, seq, identity, again: false };
        let accepted = desk.accept(fields)?;
        let prompt_tokens = accepted.prompt_tokens;
        let (permit, levels) = if accepted.model.is_limited() {
            let model = (accepted.asked.model, accepted.model);
            match self.sandbox.limiter.admit(model, key, accepted.tokens, at.instant) {
                Ok((permit, levels)) => (Some(permit), levels),
                Err(refused) => {
                    let reply = F::rate_limit(&refused.rate_limit(), seq);
                    return Ok(Decision { levels: refused.levels, prompt_tokens, ..reply.into() });
                }
            }
        } else {
            (None, Levels::default())
        };
        let fault = desk.fault(&accepted.asked)?;
        Ok(Decision {
            reply: desk.reply(&accepted, fault.as_ref()),
            fault: fault.map(|fault| fault.name()),
            prompt_tokens,
            levels,
            permit,
        })
    }

    fn refusal(&self, error: F::Error) -> Decision {
        F::error_reply(error, self.arrival.seq).into()
    }
}

impl From<Reply> for Decision {
    fn from(reply: Reply) -> Self {
        Self { reply, fault: None, prompt_tokens: 0, levels: Levels::default(), permit: None }
    }
}
