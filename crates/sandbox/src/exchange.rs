//! The course of a real-time request, the same whoever's words it comes in.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Request, body};

use crate::answer::echo;
use crate::arrival::{Arrival, Identity};
use crate::asked::Asked;
use crate::completion::{Completion, Content, Finish, ReportedUsage};
use crate::config::{Config, Model};
use crate::family::{Family, Objection, key_tail};
use crate::fault::{self, Fault};
use crate::limits::{Levels, Permit};
use crate::log;
use crate::reply::{LONGEST, Payload, Reply};
use crate::server::{ConnectionClosed, HttpResponse};
use crate::state::Sandbox;
use crate::value::{Fields, Value};

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
        key: F::key(&parts.headers),
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
    reply.into_response(F::REQUEST_ID, seq, (arrival, permit)).ok_or(ConnectionClosed)
}

/// The body, or None where it is too large.
async fn read(body: body::Incoming, max_bytes: usize) -> Result<Option<Bytes>, ConnectionClosed> {
    match Limited::new(body, max_bytes).collect().await {
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

fn parse(body: Option<&[u8]>, max_bytes: usize) -> Result<Fields<'_>, Objection<'static>> {
    let body = body.ok_or(Objection::TooLarge { max_bytes })?;
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Objection::NotJson),
    }
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
        let fields = parse(body, F::MAX_BODY_BYTES);
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

    /// Checks the key, the request, the model, the context window and the limits; then meets a fault or
    /// answers.
    fn decide(&self, fields: &Fields<'_>) -> Result<Decision, F::Error> {
        let key = self.family.authenticate(self.config, self.key)?;
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
        let (permit, levels) = if model.is_limited() {
            let now = self.arrival.at.instant;
            match self.sandbox.limiter.admit((asked.model, model), key, tokens, now) {
                Ok((permit, levels)) => (Some(permit), levels),
                Err(refused) => {
                    let reply = F::rate_limit(&refused.rate_limit(), self.arrival.seq);
                    return Ok(Decision { levels: refused.levels, prompt_tokens, ..reply.into() });
                }
            }
        } else {
            (None, Levels::default())
        };
        let fault = self.fault(&asked)?;
        Ok(Decision {
            reply: self.reply(&asked, model, prompt_tokens, fault.as_ref()),
            fault: fault.map(|fault| fault.name()),
            prompt_tokens,
            levels,
            permit,
        })
    }

    /// A marker's fault, or else a configured one.
    fn fault(&self, asked: &Asked<'_>) -> Result<Option<Fault>, F::Error> {
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

    fn reply(&self, asked: &Asked<'_>, model: &Model, prompt_tokens: u64, fault: Option<&Fault>) -> Reply {
        let prompt = asked.prompt();
        let answer = echo(&prompt, self.config.answer_bytes, asked.max_tokens);
        let completion = Completion {
            seq: self.arrival.seq,
            unix_ms: self.arrival.at.unix_ms,
            model: asked.model,
            content: Content::Text(&answer.text),
            finish: if answer.truncated { Finish::Length } else { Finish::Stop },
            prompt_tokens,
            cached_tokens: model.cached_tokens.min(prompt_tokens),
            thinking_tokens: model.thinking_tokens,
            usage: ReportedUsage::True,
        };
        match fault {
            Some(fault) => fault::apply(self.family, fault, completion),
            None => F::answer(&completion),
        }
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
