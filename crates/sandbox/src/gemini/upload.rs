//! Resumable uploads: a call that begins one, then calls with pieces of the file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::batch_wire::GeminiBatches;
use super::error::ApiError;
use super::files::{object, server};
use crate::batch::{UploadError, Wire, Writer, keep};
use crate::call::{self, Call};
use crate::reply::Reply;

/// Uploaded files live so long.
const LIFE: Duration = Duration::from_hours(48);

const MAX_START_BYTES: usize = 64 * 1024;

/// Uploads that have begun, by their id.
#[derive(Default)]
pub(crate) struct Uploads(SyncMutex<HashMap<String, Arc<Mutex<Session>>>>);

/// One upload.
struct Session {
    /// Of the call that began it; the others need none.
    key: String,
    /// None once it is final.
    writer: Option<Writer>,
    display_name: String,
    media_type: String,
    /// The size that was announced.
    announced: Option<u64>,
    received: u64,
    /// Whether a client went away while a piece of its body was being written, so that nobody knows how much was.
    is_torn: bool,
}

/// The body of the call that begins an upload.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Start {
    file: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct Metadata {
    display_name: String,
    mime_type: Option<String>,
}

impl Uploads {
    /// The key that began an upload.
    pub async fn key(&self, id: &str) -> Option<String> {
        let session = self.sessions().get(id).map(Arc::clone)?;
        Some(session.lock().await.key.clone())
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Arc<Mutex<Session>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins an upload; the session's URL is in the header `x-goog-upload-url`.
pub(super) async fn start(call: &Call<'_>, body: Incoming) -> Result<Reply, ApiError> {
    if header(&call.headers, "x-goog-upload-protocol") != Some("resumable") {
        return Err(ApiError::invalid("The sandbox takes resumable uploads only."));
    }
    if header(&call.headers, "x-goog-upload-command") != Some("start") {
        return Err(ApiError::invalid("The first command of an upload is start."));
    }
    let body = call::read(body, MAX_START_BYTES).await.map_err(|_| ApiError::invalid("The body is too large."))?;
    let start: Start = if body.is_empty() {
        Start::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| ApiError::invalid(format!("Invalid JSON payload: {error}")))?
    };
    let announced = header(&call.headers, "x-goog-upload-header-content-length");
    let announced = announced.map(str::parse).transpose();
    let announced: Option<u64> = announced.map_err(|_| ApiError::invalid("The length is no number."))?;
    let max_bytes = call.config.batch.max_bytes.unwrap_or(GeminiBatches::ByFile.rules().max_bytes);
    if announced.is_some_and(|announced| announced > max_bytes) {
        return Err(too_large(max_bytes));
    }
    let media_type = header(&call.headers, "x-goog-upload-header-content-type").map(str::to_owned);
    let media_type = start.file.mime_type.or(media_type);
    let session = Session {
        key: call.key.clone(),
        writer: Some(Writer::new(call.sandbox, &call.config, max_bytes).await.map_err(|error| server(&error))?),
        display_name: start.file.display_name,
        media_type: media_type.ok_or_else(|| ApiError::invalid("The media type of the file is missing."))?,
        announced,
        received: 0,
        is_torn: false,
    };
    let id = call.sandbox.batches.token().hex();
    let url = format!("{}/gemini/upload/v1beta/files?upload_id={id}&upload_protocol=resumable", call.origin());
    call.sandbox.uploads.sessions().insert(id, Arc::new(Mutex::new(session)));
    Ok(Reply::json(&json!({})).with_header("x-goog-upload-url", &url).with_header("x-goog-upload-status", "active"))
}

/// A command to an upload that has begun.
pub(super) async fn proceed(call: &Call<'_>, id: &str, body: Incoming, answered: bool) -> Result<Reply, ApiError> {
    let session = call.sandbox.uploads.sessions().get(id).map(Arc::clone);
    let session = session.ok_or_else(|| ApiError::new(404, "NOT_FOUND", "There is no such upload."))?;
    let mut session = session.lock().await;
    let command = header(&call.headers, "x-goog-upload-command").unwrap_or_default();
    let mut commands = command.split(',').map(str::trim);
    match (commands.next(), commands.next()) {
        (Some("upload"), None) => {
            session.take(&call.headers, body).await?;
            Ok(session.status())
        }
        (Some("upload"), Some("finalize")) => {
            session.take(&call.headers, body).await?;
            session.finalize(call, answered).await
        }
        (Some("finalize"), None) => session.finalize(call, answered).await,
        (Some("query"), None) => Ok(session.status()),
        (Some("cancel"), None) => {
            call.sandbox.uploads.sessions().remove(id);
            Ok(Reply::json(&json!({})).with_header("x-goog-upload-status", "cancelled"))
        }
        _ => Err(ApiError::invalid(format!("Unknown upload command: {command}"))),
    }
}

impl Session {
    /// Takes the piece that begins where the last one ended; also what came of a piece that broke off.
    async fn take(&mut self, headers: &HeaderMap, mut body: Incoming) -> Result<(), ApiError> {
        let writer = self.writer.as_mut().ok_or_else(|| ApiError::invalid("The upload is final."))?;
        if self.is_torn {
            return Err(ApiError::new(500, "INTERNAL", "The upload is broken; begin another."));
        }
        let offset = header(headers, "x-goog-upload-offset").and_then(|offset| offset.parse::<u64>().ok());
        if offset != Some(self.received) {
            return Err(ApiError::invalid(format!("The upload goes on at offset {}.", self.received)));
        }
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| server(&std::io::Error::other(error)))?;
            if let Ok(data) = frame.into_data() {
                self.is_torn = true;
                writer.write(&data).await.map_err(|error| server(&error))?;
                self.is_torn = false;
                self.received += data.len() as u64;
            }
        }
        Ok(())
    }

    async fn finalize(&mut self, call: &Call<'_>, answered: bool) -> Result<Reply, ApiError> {
        if let Some(announced) = self.announced.filter(|announced| *announced != self.received) {
            return Err(ApiError::invalid(format!("{} of {announced} bytes were sent.", self.received)));
        }
        let writer = self.writer.take().ok_or_else(|| ApiError::invalid("The upload is final."))?;
        let received = writer.finish(self.display_name.clone()).await.map_err(|error| match error {
            UploadError::TooLarge(max_bytes) => too_large(max_bytes),
            UploadError::Form(_) => ApiError::invalid(error.to_string()),
            UploadError::Io(error) => server(&error),
        })?;
        let file = keep(call, &GeminiBatches::ByFile, received, self.media_type.clone(), Some(LIFE), answered);
        let file = file.map_err(|error| server(&error))?;
        Ok(Reply::json(&json!({"file": object(call, &file)})).with_header("x-goog-upload-status", "final"))
    }

    fn status(&self) -> Reply {
        let status = if self.writer.is_some() { "active" } else { "final" };
        Reply::json(&json!({}))
            .with_header("x-goog-upload-status", status)
            .with_header("x-goog-upload-size-received", &self.received.to_string())
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn too_large(max_bytes: u64) -> ApiError {
    ApiError::invalid(format!("The file is larger than {max_bytes} bytes."))
}
