//! `/_sandbox/…`: looking at and changing a running sandbox. Without authentication: it is a test tool.

use http_body_util::{BodyExt, Limited};
use hyper::{Method, Request, body};
use serde::Serialize;

use crate::config::Patch;
use crate::openai::ApiError;
use crate::reply::Reply;
use crate::state::Sandbox;

/// The largest patch read.
const MAX_PATCH_BYTES: usize = 1024 * 1024;

#[derive(Serialize)]
struct Done {
    reset: bool,
}

/// Answers a request to a path below `/_sandbox`.
pub(crate) async fn handle(sandbox: &Sandbox, request: Request<body::Incoming>) -> Reply {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    match (&method, path.as_str()) {
        (&Method::GET, "/_sandbox/stats") => {
            let now = sandbox.clock.now().unix_ms;
            let mut stats = sandbox.counters().read(now);
            stats.batches = sandbox.batches.stats();
            Reply::json(&stats)
        }
        (&Method::GET, "/_sandbox/config") => Reply::json(sandbox.config().as_ref()),
        (&Method::PATCH, "/_sandbox/config") => match patch(sandbox, request).await {
            Ok(reply) => reply,
            Err(reason) => ApiError::invalid(400, reason, None, Some("sandbox_config_invalid")).into(),
        },
        (&Method::POST, "/_sandbox/reset") => {
            sandbox.reset();
            Reply::json(&Done { reset: true })
        }
        _ => ApiError::unknown_url(method.as_str(), &path).into(),
    }
}

/// Answers the whole configuration after the change.
async fn patch(sandbox: &Sandbox, request: Request<body::Incoming>) -> Result<Reply, String> {
    let body = Limited::new(request.into_body(), MAX_PATCH_BYTES).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    let patch: Patch = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    let config = sandbox.patch(patch).map_err(|error| error.to_string())?;
    Ok(Reply::json(config.as_ref()))
}
