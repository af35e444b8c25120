//! All calls but chat completions.

use std::sync::Arc;

use hyper::{Method, Request, body};

use super::OpenAi;
use super::error::ApiError;
use super::{batches, files, models};
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
    let unknown = || ApiError::unknown_url(parts.method.as_str(), parts.uri.path());
    let segments: Vec<_> = parts.uri.path().split('/').skip_while(|segment| !ROOTS.contains(segment)).collect();
    if segments.is_empty() {
        return unknown().into();
    }
    let config = sandbox.config();
    let key = match openai.authenticate(&config, openai.key(&parts.headers)) {
        Ok(key) => key.to_owned(),
        Err(error) => return error.into(),
    };
    let call = Call { sandbox, config, key, headers: parts.headers.clone(), uri: parts.uri.clone() };
    let call = &call;
    let wire = openai.wire();
    match (&parts.method, segments.as_slice()) {
        (&Method::GET, ["models"]) => models::list(&call.config),
        (&Method::GET, ["models", name]) => models::retrieve(&call.config, name).unwrap_or_else(Reply::from),
        (&Method::POST, ["files"]) => {
            let work = |body, answered| files::upload(call, openai, body, answered);
            operate(sandbox, wire, Operation::Upload, body, work).await
        }
        (&Method::GET, ["files"]) => files::list(call, openai).unwrap_or_else(Reply::from),
        (&Method::GET, ["files", id]) => files::get(call, openai, id).unwrap_or_else(Reply::from),
        (&Method::DELETE, ["files", id]) => {
            let work = async |_, _| files::delete(call, openai, id).unwrap_or_else(Reply::from);
            operate(sandbox, wire, Operation::DeleteFile, body, work).await
        }
        (&Method::GET, ["files", id, "content"]) => {
            let work = async |_, _| files::content(call, openai, id).await.unwrap_or_else(Reply::from);
            operate(sandbox, wire, Operation::Download, body, work).await
        }
        (&Method::POST, ["batches"]) => {
            let work =
                async |body, answered| batches::create(call, openai, body, answered).await.unwrap_or_else(Reply::from);
            operate(sandbox, wire, Operation::Create, body, work).await
        }
        (&Method::GET, ["batches"]) => {
            let work = async |_, _| batches::list(call, openai).unwrap_or_else(Reply::from);
            operate(sandbox, wire, Operation::List, body, work).await
        }
        (&Method::GET, ["batches", id]) => {
            let work = async |_, _| batches::get(call, openai, id).unwrap_or_else(Reply::from);
            operate(sandbox, wire, Operation::Poll, body, work).await
        }
        (&Method::POST, ["batches", id, "cancel"]) => {
            let work = async |_, _| batches::cancel(call, openai, id).unwrap_or_else(Reply::from);
            operate(sandbox, wire, Operation::Cancel, body, work).await
        }
        _ => unknown().into(),
    }
}
