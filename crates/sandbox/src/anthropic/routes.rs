//! All calls below `/anthropic`.

use std::sync::Arc;
use std::time::Instant;

use hyper::{Method, Request, body};

use super::batch_wire::MessageBatches;
use super::error::ApiError;
use super::{Anthropic, batches};
use crate::batch::{Operation, operate};
use crate::call::Call;
use crate::config::{Config, Model};
use crate::exchange::exchange;
use crate::family::{Family, Objection};
use crate::reply::Reply;
use crate::server::{ConnectionClosed, HttpResponse, send};
use crate::state::Sandbox;

const MESSAGES: &str = "/anthropic/v1/messages";
const BATCHES: &str = "/anthropic/v1/messages/batches";

/// Calls about provider batches, of each bearer: those of the tier Start.
const CALLS_PER_MINUTE: u64 = 1_000;

/// Answers a request to a path below `/anthropic`.
pub(crate) async fn handle(
    sandbox: &Arc<Sandbox>,
    request: Request<body::Incoming>,
) -> Result<HttpResponse, ConnectionClosed> {
    let path = request.uri().path();
    if path == MESSAGES && request.method() == Method::POST {
        return exchange::<Anthropic>(sandbox, request).await;
    }
    let reply =
        if path.starts_with(BATCHES) { batches(sandbox, request).await } else { unknown_url(request.method(), path) };
    send(reply, Anthropic::REQUEST_ID).await
}

/// Answers a call about provider batches.
async fn batches(sandbox: &Arc<Sandbox>, request: Request<body::Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let anthropic = Anthropic::of(&parts);
    let config = sandbox.config();
    let key = match anthropic.authenticate(&config, anthropic.key(&parts.headers)) {
        Ok(key) => key,
        Err(error) => return error.into(),
    };
    let version = match anthropic.version {
        Ok(version) => version,
        Err(problem) => return ApiError::from(problem).into(),
    };
    if let Some(refused) = over_limit(sandbox, &config, key) {
        return refused;
    }
    let path = parts.uri.path();
    let segments: Vec<_> = path[BATCHES.len()..].split('/').skip(1).collect();
    let call = &Call::new(sandbox, &config, key, &parts);
    let (operation, id) = match (&parts.method, segments.as_slice()) {
        (&Method::POST, []) => (Operation::Create, ""),
        (&Method::GET, []) => (Operation::List, ""),
        (&Method::GET, [id]) => (Operation::Poll, *id),
        (&Method::GET, [id, "results"]) => (Operation::Download, *id),
        (&Method::POST, [id, "cancel"]) => (Operation::Cancel, *id),
        (&Method::DELETE, [id]) => return batches::delete(call, id).unwrap_or_else(Reply::from),
        _ => return unknown_url(&parts.method, path),
    };
    let work = async |body, answered| {
        let replied = match operation {
            Operation::Create => return batches::create(call, version, body, answered).await,
            Operation::Poll => batches::get(call, id),
            Operation::Download => batches::results(call, id).await,
            Operation::Cancel => batches::cancel(call, id),
            Operation::List | Operation::Upload | Operation::DeleteFile => batches::list(call),
        };
        replied.map_err(Reply::from)
    };
    operate(sandbox, &MessageBatches, operation, body, work).await
}

/// A call over the limit on calls about provider batches, which all models share.
fn over_limit(sandbox: &Sandbox, config: &Config, key: &str) -> Option<Reply> {
    let limit = config.batch.calls_per_minute.unwrap_or(CALLS_PER_MINUTE);
    let limits = Model { requests_per_minute: Some(limit), ..Model::default() };
    let admitted = sandbox.limiter.clone().admit(("message batches", &limits), key, 0, Instant::now());
    admitted.err().map(|refused| Anthropic::rate_limit(&refused.rate_limit(), 0))
}

fn unknown_url(method: &Method, path: &str) -> Reply {
    ApiError::from(&Objection::UnknownUrl { method: method.as_str(), path }).into()
}
