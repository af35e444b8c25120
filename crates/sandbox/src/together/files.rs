//! `/v1/files`, in one call or by way of a pre-signed URL.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST, LOCATION};
use serde_json::{Value, json};

use super::Together;
use crate::batch::{
    Received, StoredFile, Token, Upload, UploadError, Wire, Writer, delete_file, download, keep, receive,
};
use crate::call::Call;
use crate::config::Config;
use crate::openai::ApiError;
use crate::reply::Reply;
use crate::state::Sandbox;

const PURPOSES: [&str; 7] =
    ["fine-tune", "eval", "eval-sample", "eval-output", "eval-summary", "batch-generated", "batch-api"];

/// Files announced and not kept yet, by their id.
#[derive(Default)]
pub(crate) struct Slots(Mutex<HashMap<String, Slot>>);

struct Slot {
    /// Of the id, which is given out before there is a file.
    token: Token,
    name: String,
    purpose: String,
    /// Its content, once it has been put.
    received: Option<Received>,
}

/// `POST /v1/files/upload`
pub(super) async fn upload(call: &Call<'_>, body: Incoming, answered: bool) -> Result<Reply, ApiError> {
    let mut upload = form(call, body).await?;
    let (name, purpose) = announced(&upload)?;
    let file = upload.file.take().ok_or_else(|| ApiError::missing("file"))?;
    keep_as(call, file, name, purpose, answered)
}

/// `POST /v1/files`: a redirection to where the content goes.
pub(super) async fn announce(call: &Call<'_>, body: Incoming) -> Result<Reply, ApiError> {
    let upload = form(call, body).await?;
    let (name, purpose) = announced(&upload)?;
    let token = call.sandbox.batches.token();
    let id = Together.file_id(token);
    call.sandbox.slots.lock().insert(id.clone(), Slot { token, name, purpose, received: None });
    let host = call.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let location = format!("http://{host}/together/uploads/{id}?signature=sandbox");
    let reply = Reply::new(302, "text/plain", Vec::new());
    Ok(reply.with_header(LOCATION.as_str(), &location).with_header("x-together-file-id", &id))
}

/// `PUT` to a pre-signed URL, which needs no key and takes none.
pub(super) async fn put(
    sandbox: &Sandbox,
    config: &Config,
    headers: &HeaderMap,
    mut body: Incoming,
    id: &str,
) -> Result<Reply, ApiError> {
    if headers.contains_key(AUTHORIZATION) {
        let message = "Only one auth mechanism allowed.".to_owned();
        return Err(ApiError::invalid(400, message, None, Some("InvalidArgument")));
    }
    let max_bytes = config.batch.max_bytes.unwrap_or(Together.rules().max_bytes);
    let mut writer = Writer::new(sandbox, config, max_bytes).await.map_err(|error| refused(&error.into()))?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::server("the body broke off".to_owned()))?;
        if let Ok(piece) = frame.into_data() {
            writer.write(&piece).await.map_err(|error| refused(&error.into()))?;
        }
    }
    let received = writer.finish(String::new()).await.map_err(|error| refused(&error))?;
    let mut slots = sandbox.slots.lock();
    let slot = slots.get_mut(id).ok_or_else(|| unknown(id))?;
    slot.received = Some(received);
    Ok(Reply::new(200, "application/xml", Vec::new()))
}

/// `POST /v1/files/{id}/preprocess`: keeps what has been put.
pub(super) fn preprocess(call: &Call<'_>, id: &str, answered: bool) -> Result<Reply, ApiError> {
    let slot = call.sandbox.slots.lock().remove(id).ok_or_else(|| unknown(id))?;
    let mut received =
        slot.received.ok_or_else(|| ApiError::invalid(400, format!("File {id} has no content"), None, None))?;
    received.place.0 = slot.token;
    keep_as(call, received, slot.name, slot.purpose, answered)
}

async fn form(call: &Call<'_>, body: Incoming) -> Result<Upload, ApiError> {
    let max_bytes = call.config.batch.max_bytes.unwrap_or(Together.rules().max_bytes);
    receive(call.sandbox, &call.config, &call.headers, body, max_bytes).await.map_err(|error| refused(&error))
}

/// Name and purpose.
fn announced(upload: &Upload) -> Result<(String, String), ApiError> {
    let name = upload.field("file_name").ok_or_else(|| ApiError::missing("file_name"))?;
    let purpose = upload.field("purpose").ok_or_else(|| ApiError::missing("purpose"))?;
    if !PURPOSES.contains(&purpose) {
        return Err(ApiError::not_one_of("purpose", purpose, &PURPOSES));
    }
    match upload.field("file_type") {
        None | Some("jsonl") => Ok((name.to_owned(), purpose.to_owned())),
        Some(kind) => Err(ApiError::not_one_of("file_type", kind, &["jsonl"])),
    }
}

fn keep_as(
    call: &Call<'_>,
    mut received: Received,
    name: String,
    purpose: String,
    answered: bool,
) -> Result<Reply, ApiError> {
    received.name = name;
    let file = keep(call, &Together, received, purpose, None, answered).map_err(|_| ApiError::log_failed())?;
    Ok(Reply::json(&object(&file)))
}

fn refused(error: &UploadError) -> ApiError {
    match error {
        UploadError::Form(_) => ApiError::invalid(400, error.to_string(), None, None),
        UploadError::TooLarge(_) => ApiError::invalid(413, error.to_string(), Some("file"), None),
        UploadError::Io(_) => ApiError::server(error.to_string()),
    }
}

/// `GET /v1/files`
pub(super) fn list(call: &Call<'_>) -> Reply {
    let files = call.sandbox.batches.files.list(Together.family());
    let data: Vec<_> = files.iter().map(|file| object(file)).collect();
    Reply::json(&json!({"data": data}))
}

/// `GET /v1/files/{id}`
pub(super) fn get(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let file = find(call, id)?;
    Ok(Reply::json(&object(&file)))
}

/// `GET /v1/files/{id}/content`
pub(super) async fn content(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let file = find(call, id)?;
    download(call, &file).await.map_err(|error| ApiError::server(error.to_string()))
}

/// `DELETE /v1/files/{id}`
pub(super) fn delete(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    if !delete_file(call.sandbox, Together.family(), id).map_err(|_| ApiError::log_failed())? {
        return Err(unknown(id));
    }
    Ok(Reply::json(&json!({"id": id, "deleted": true})))
}

fn find(call: &Call<'_>, id: &str) -> Result<Arc<StoredFile>, ApiError> {
    call.sandbox.batches.files.get(Together.family(), id).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> ApiError {
    ApiError::invalid(404, format!("File {id} does not exist"), None, Some("not_found"))
}

fn object(file: &StoredFile) -> Value {
    json!({
        "id": file.id,
        "object": "file",
        "created_at": file.created_ms / 1000,
        "filename": file.name,
        "bytes": file.bytes,
        "purpose": file.purpose,
        "Processed": true,
        "FileType": "jsonl",
        "LineCount": file.lines,
    })
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
