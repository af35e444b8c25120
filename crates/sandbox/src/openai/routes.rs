//! All calls but chat completions.

use std::sync::Arc;

use hyper::{Method, Request, body};

use super::error::ApiError;
use super::{OpenAi, batches, files, models};
use crate::batch::{Operation, operate};
use crate::call::Call;
use crate::family::Family;
use crate::reply::Reply;
use crate::state::Sandbox;

/// What paths begin with, after their prefix.
const ROOTS: [&str; 3] = ["files", "batches", "models"];

/// Answers a call about files, provider batches or models.
pub(crate) async fn handle(sandbox: &Arc<Sandbox>, request: Request<body::Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let openai = OpenAi::of(&parts);
    let unknown = || Reply::from(ApiError::unknown_url(parts.method.as_str(), parts.uri.path()));
    let segments: Vec<_> = parts.uri.path().split('/').skip_while(|segment| !ROOTS.contains(segment)).collect();
    if segments.is_empty() {
        return unknown();
    }
    let config = sandbox.config();
    let key = match openai.authenticate(&config, openai.key(&parts.headers)) {
        Ok(key) => key,
        Err(error) => return error.into(),
    };
    let call = &Call::new(sandbox, &config, key, &parts);
    let wire = openai.wire();
    match (&parts.method, segments.as_slice()) {
        (&Method::GET, ["models"]) => models::list(&config),
        (&Method::GET, ["models", name]) => models::retrieve(&config, name).unwrap_or_else(Reply::from),
        (&Method::GET, ["files"]) => files::list(call, openai).unwrap_or_else(Reply::from),
        (&Method::GET, ["files", id]) => files::get(call, openai, id).unwrap_or_else(Reply::from),
        (&Method::POST, ["files"]) => {
            let work = |body, answered| files::upload(call, openai, body, answered);
            operate(sandbox, wire, Operation::Upload, body, work).await
        }
        (&Method::DELETE, ["files", id]) => {
            let work = async |_, _| files::delete(call, openai, id);
            operate(sandbox, wire, Operation::DeleteFile, body, work).await
        }
        (&Method::GET, ["files", id, "content"]) => {
            let work = async |_, _| files::content(call, openai, id).await;
            operate(sandbox, wire, Operation::Download, body, work).await
        }
        (&Method::POST, ["batches"]) => {
            let work = |body, answered| batches::create(call, openai, body, answered);
            operate(sandbox, wire, Operation::Create, body, work).await
        }
        (&Method::GET, ["batches"]) => {
            operate(sandbox, wire, Operation::List, body, async |_, _| batches::list(call, openai)).await
        }
        (&Method::GET, ["batches", id]) => {
            operate(sandbox, wire, Operation::Poll, body, async |_, _| batches::get(call, openai, id)).await
        }
        (&Method::POST, ["batches", id, "cancel"]) => {
            operate(sandbox, wire, Operation::Cancel, body, async |_, _| batches::cancel(call, openai, id)).await
        }
        _ => unknown(),
    }
}
