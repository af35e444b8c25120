//! All calls below `/mistral`.

use std::sync::Arc;

use hyper::{Method, Request, body};

use super::error::ApiError;
use super::{Mistral, files, jobs};
use crate::batch::{Operation, operate};
use crate::call::Call;
use crate::exchange::exchange;
use crate::family::{Family, Objection};
use crate::reply::Reply;
use crate::server::{ConnectionClosed, HttpResponse, send};
use crate::state::Sandbox;

/// Answers a request to a path below `/mistral`.
pub(crate) async fn handle(
    sandbox: &Arc<Sandbox>,
    request: Request<body::Incoming>,
) -> Result<HttpResponse, ConnectionClosed> {
    if request.uri().path() == "/mistral/v1/chat/completions" && request.method() == Method::POST {
        return exchange::<Mistral>(sandbox, request).await;
    }
    send(other(sandbox, request).await, Mistral::REQUEST_ID).await
}

async fn other(sandbox: &Arc<Sandbox>, request: Request<body::Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let config = sandbox.config();
    let path = parts.uri.path();
    if let Some(id) = path.strip_prefix("/mistral/signed/") {
        let call = &Call::new(sandbox, &config, "", &parts);
        return operate(sandbox, &Mistral, Operation::Download, body, async |_, _| files::content(call, id).await)
            .await;
    }
    let key = match Mistral.authenticate(&config, Mistral.key(&parts.headers)) {
        Ok(key) => key,
        Err(error) => return error.into(),
    };
    let call = &Call::new(sandbox, &config, key, &parts);
    let segments: Vec<_> = path.strip_prefix("/mistral/v1/").unwrap_or_default().split('/').collect();
    match (&parts.method, segments.as_slice()) {
        (&Method::GET, ["files"]) => files::list(call).unwrap_or_else(Reply::from),
        (&Method::GET, ["files", id]) => files::get(call, id).unwrap_or_else(Reply::from),
        (&Method::GET, ["files", id, "url"]) => files::url(call, id).unwrap_or_else(Reply::from),
        (&Method::POST, ["files"]) => {
            let work = |body, answered| files::upload(call, body, answered);
            operate(sandbox, &Mistral, Operation::Upload, body, work).await
        }
        (&Method::DELETE, ["files", id]) => {
            operate(sandbox, &Mistral, Operation::DeleteFile, body, async |_, _| files::delete(call, id)).await
        }
        (&Method::GET, ["files", id, "content"]) => {
            operate(sandbox, &Mistral, Operation::Download, body, async |_, _| files::content(call, id).await).await
        }
        (&Method::POST, ["batch", "jobs"]) => {
            let work = |body, answered| jobs::create(call, body, answered);
            operate(sandbox, &Mistral, Operation::Create, body, work).await
        }
        (&Method::GET, ["batch", "jobs"]) => {
            operate(sandbox, &Mistral, Operation::List, body, async |_, _| jobs::list(call)).await
        }
        (&Method::GET, ["batch", "jobs", id]) => {
            operate(sandbox, &Mistral, Operation::Poll, body, async |_, _| jobs::get(call, id).await).await
        }
        (&Method::POST, ["batch", "jobs", id, "cancel"]) => {
            operate(sandbox, &Mistral, Operation::Cancel, body, async |_, _| jobs::cancel(call, id)).await
        }
        (&Method::DELETE, ["batch", "jobs", id]) => jobs::delete(call, id).unwrap_or_else(Reply::from),
        _ => ApiError::from(&Objection::UnknownUrl { method: parts.method.as_str(), path }).into(),
    }
}
