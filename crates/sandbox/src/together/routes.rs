//! All calls below `/together`.

use std::sync::Arc;

use hyper::{Method, Request, body};

use super::{Together, batches, files};
use crate::batch::{Operation, operate};
use crate::call::Call;
use crate::exchange::exchange;
use crate::family::Family;
use crate::openai::ApiError;
use crate::reply::Reply;
use crate::server::{ConnectionClosed, HttpResponse, send};
use crate::state::Sandbox;

/// Answers a request to a path below `/together`.
pub(crate) async fn handle(
    sandbox: &Arc<Sandbox>,
    request: Request<body::Incoming>,
) -> Result<HttpResponse, ConnectionClosed> {
    if request.uri().path() == "/together/v1/chat/completions" && request.method() == Method::POST {
        return exchange::<Together>(sandbox, request).await;
    }
    send(other(sandbox, request).await, Together::REQUEST_ID).await
}

async fn other(sandbox: &Arc<Sandbox>, request: Request<body::Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let config = sandbox.config();
    let path = parts.uri.path();
    if let (&Method::PUT, Some(id)) = (&parts.method, path.strip_prefix("/together/uploads/")) {
        return files::put(sandbox, &config, &parts.headers, body, id).await.unwrap_or_else(Reply::from);
    }
    let key = match Together.authenticate(&config, Together.key(&parts.headers)) {
        Ok(key) => key,
        Err(error) => return error.into(),
    };
    let call = &Call::new(sandbox, &config, key, &parts);
    let segments: Vec<_> = path.strip_prefix("/together/v1/").unwrap_or_default().split('/').collect();
    match (&parts.method, segments.as_slice()) {
        (&Method::GET, ["files"]) => files::list(call),
        (&Method::GET, ["files", id]) => files::get(call, id).unwrap_or_else(Reply::from),
        (&Method::POST, ["files"]) => files::announce(call, body).await.unwrap_or_else(Reply::from),
        (&Method::POST, ["files", "upload"]) => {
            let work = |body, answered| files::upload(call, body, answered);
            operate(sandbox, &Together, Operation::Upload, body, work).await
        }
        (&Method::POST, ["files", id, "preprocess"]) => {
            let work = async |_, answered| files::preprocess(call, id, answered);
            operate(sandbox, &Together, Operation::Upload, body, work).await
        }
        (&Method::DELETE, ["files", id]) => {
            operate(sandbox, &Together, Operation::DeleteFile, body, async |_, _| files::delete(call, id)).await
        }
        (&Method::GET, ["files", id, "content"]) => {
            operate(sandbox, &Together, Operation::Download, body, async |_, _| files::content(call, id).await).await
        }
        (&Method::POST, ["batches"]) => {
            let work = |body, answered| batches::create(call, body, answered);
            operate(sandbox, &Together, Operation::Create, body, work).await
        }
        (&Method::GET, ["batches"]) => {
            operate(sandbox, &Together, Operation::List, body, async |_, _| batches::list(call)).await
        }
        (&Method::GET, ["batches", id]) => {
            operate(sandbox, &Together, Operation::Poll, body, async |_, _| batches::get(call, id)).await
        }
        (&Method::POST, ["batches", id, "cancel"]) => {
            operate(sandbox, &Together, Operation::Cancel, body, async |_, _| batches::cancel(call, id)).await
        }
        _ => ApiError::unknown_url(parts.method.as_str(), path).into(),
    }
}
