//! All calls below `/gemini`.

use std::sync::Arc;

use hyper::http::request::Parts;
use hyper::{Method, Request, body};

use super::batch_wire::GeminiBatches;
use super::error::ApiError;
use super::{Gemini, batches, files, model_call, upload};
use crate::batch::{Operation, operate};
use crate::call::Call;
use crate::config::Config;
use crate::exchange::exchange;
use crate::family::{Family, Objection};
use crate::reply::Reply;
use crate::server::{ConnectionClosed, HttpResponse, send};
use crate::state::Sandbox;

const UPLOADS: &str = "/gemini/upload/v1beta/files";

/// Answers a request to a path below `/gemini`.
pub(crate) async fn handle(
    sandbox: &Arc<Sandbox>,
    request: Request<body::Incoming>,
) -> Result<HttpResponse, ConnectionClosed> {
    let path = request.uri().path();
    if let (&Method::POST, Some((_, "generateContent"))) = (request.method(), model_call(path)) {
        return exchange::<Gemini>(sandbox, request).await;
    }
    send(other(sandbox, request).await, Gemini::REQUEST_ID).await
}

async fn other(sandbox: &Arc<Sandbox>, request: Request<body::Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let gemini = Gemini::of(&parts);
    let config = sandbox.config();
    if parts.uri.path() == UPLOADS && parts.method == Method::POST {
        return upload(sandbox, &config, &parts, body).await;
    }
    let key = match gemini.authenticate(&config, gemini.key(&parts.headers)) {
        Ok(key) => key,
        Err(error) => return error.into(),
    };
    let call = &Call::new(sandbox, &config, key, &parts);
    let wire = &GeminiBatches::ByFile;
    let path = parts.uri.path();
    if let (&Method::POST, Some((model, "batchGenerateContent"))) = (&parts.method, model_call(path)) {
        let work = |body, answered| batches::create(call, model, body, answered);
        return operate(sandbox, wire, Operation::Create, body, work).await;
    }
    // Files can be fetched in two places.
    let rest = path.strip_prefix("/gemini/v1beta/").or_else(|| path.strip_prefix("/gemini/download/v1beta/"));
    let (collection, name) = rest.map_or(("", None), |rest| match rest.split_once('/') {
        Some((collection, name)) => (collection, Some(name)),
        None => (rest, None),
    });
    let (id, verb) = name.map_or(("", None), |name| match name.split_once(':') {
        Some((id, verb)) => (id, Some(verb)),
        None => (name, None),
    });
    match (&parts.method, collection, name, verb) {
        (&Method::GET, "files", None, _) => files::list(call).unwrap_or_else(Reply::from),
        (&Method::GET, "files", Some(_), None) => files::get(call, id).unwrap_or_else(Reply::from),
        (&Method::GET, "files", Some(_), Some("download")) => {
            operate(sandbox, wire, Operation::Download, body, async |_, _| files::content(call, id).await).await
        }
        (&Method::DELETE, "files", Some(_), None) => {
            operate(sandbox, wire, Operation::DeleteFile, body, async |_, _| files::delete(call, id)).await
        }
        (&Method::GET, "batches", None, _) => {
            operate(sandbox, wire, Operation::List, body, async |_, _| batches::list(call)).await
        }
        (&Method::GET, "batches", Some(_), None) => {
            operate(sandbox, wire, Operation::Poll, body, async |_, _| batches::get(call, id).await).await
        }
        (&Method::POST, "batches", Some(_), Some("cancel")) => {
            operate(sandbox, wire, Operation::Cancel, body, async |_, _| batches::cancel(call, id)).await
        }
        (&Method::DELETE, "batches", Some(_), None) => batches::delete(call, id).unwrap_or_else(Reply::from),
        _ => ApiError::from(&Objection::UnknownUrl { method: parts.method.as_str(), path }).into(),
    }
}

/// The call that begins an upload needs a key; its URL is what the others need.
async fn upload(sandbox: &Arc<Sandbox>, config: &Arc<Config>, parts: &Parts, body: body::Incoming) -> Reply {
    let anonymous = Call::new(sandbox, config, "", parts);
    let Some(id) = anonymous.parameter("upload_id") else {
        let gemini = Gemini::of(parts);
        return match gemini.authenticate(config, gemini.key(&parts.headers)) {
            Ok(key) => {
                upload::start(&Call { key: key.to_owned(), ..anonymous }, body).await.unwrap_or_else(Reply::from)
            }
            Err(error) => error.into(),
        };
    };
    let key = sandbox.uploads.key(&id).await.unwrap_or_default();
    let call = &Call { key, ..anonymous };
    let work = async |body, answered| upload::proceed(call, &id, body, answered).await;
    operate(sandbox, &GeminiBatches::ByFile, Operation::Upload, body, work).await
}
