//! `/files`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use serde_json::{Value, json};

use super::OpenAi;
use super::error::ApiError;
use super::page::Page;
use crate::batch::{StoredFile, UploadError, delete_file, download, keep, receive};
use crate::call::Call;
use crate::reply::Reply;

/// Files are forgotten after so long, unless the upload says otherwise.
const USUAL_LIFE: Duration = Duration::from_hours(30 * 24);

const PURPOSES: [&str; 6] = ["assistants", "batch", "evals", "fine-tune", "user_data", "vision"];

/// `POST /files`
pub(super) async fn upload(call: &Call<'_>, openai: OpenAi, body: Incoming, answered: bool) -> Result<Reply, ApiError> {
    let max_bytes = call.config.batch.max_bytes.unwrap_or(openai.own_rules().max_bytes);
    let mut upload = receive(call.sandbox, &call.config, &call.headers, body, max_bytes)
        .await
        .map_err(|error| upload_error(&error))?;
    let purpose = upload.field("purpose").ok_or_else(|| ApiError::missing("purpose"))?.to_owned();
    if !PURPOSES.contains(&purpose.as_str()) {
        return Err(ApiError::not_one_of("purpose", &purpose, &PURPOSES));
    }
    // Azure writes the names with a point.
    let field =
        |name: &str| upload.field(&format!("expires_after[{name}]")).or(upload.field(&format!("expires_after.{name}")));
    let life = life(openai, field("anchor"), field("seconds"))?;
    let received = upload.file.take().ok_or_else(|| ApiError::missing("file"))?;
    if purpose == "batch" && Path::new(&received.name).extension() != Some("jsonl".as_ref()) {
        let message = format!("Invalid file format: '{}' must end in .jsonl.", received.name);
        return Err(ApiError::invalid(400, message, Some("file"), None));
    }
    let file = keep(call, openai.wire(), received, purpose, life, answered).map_err(|_| ApiError::log_failed())?;
    Ok(Reply::json(&object(call, openai, &file)))
}

fn life(openai: OpenAi, anchor: Option<&str>, seconds: Option<&str>) -> Result<Option<Duration>, ApiError> {
    let least = if openai == OpenAi::Azure { 1_209_600 } else { 3_600 };
    match (anchor, seconds) {
        (None, None) => Ok(Some(USUAL_LIFE)),
        (Some("created_at"), Some(seconds)) => {
            let seconds = seconds.parse().ok().filter(|seconds| (least..=2_592_000).contains(seconds));
            let range = || format!("Invalid 'expires_after[seconds]': expected {least} to 2592000.");
            let invalid = || ApiError::parameter("expires_after[seconds]", "invalid_value", range());
            Ok(Some(Duration::from_secs(seconds.ok_or_else(invalid)?)))
        }
        (Some(anchor), Some(_)) => Err(ApiError::not_one_of("expires_after[anchor]", anchor, &["created_at"])),
        (Some(_), None) => Err(ApiError::missing("expires_after[seconds]")),
        (None, Some(_)) => Err(ApiError::missing("expires_after[anchor]")),
    }
}

fn upload_error(error: &UploadError) -> ApiError {
    match error {
        UploadError::Form(_) => ApiError::invalid(400, format!("Invalid body: {error}."), None, None),
        UploadError::TooLarge(_) => {
            ApiError::invalid(413, format!("Invalid file: {error}."), Some("file"), Some("file_too_large"))
        }
        UploadError::Io(_) => ApiError::server(error.to_string()),
    }
}

/// `GET /files`
pub(super) fn list(call: &Call<'_>, openai: OpenAi) -> Result<Reply, ApiError> {
    let mut files = call.sandbox.batches.files.list(openai.name());
    if let Some(purpose) = call.parameter("purpose") {
        files.retain(|file| file.purpose == purpose);
    }
    match call.parameter("order").as_deref() {
        None | Some("desc") => files.reverse(),
        Some("asc") => {}
        Some(order) => return Err(ApiError::not_one_of("order", order, &["asc", "desc"])),
    }
    let page = Page::new(call, &files, |file| &file.id, 10_000, 10_000)?;
    Ok(page.reply(|file| object(call, openai, file)))
}

/// `GET /files/{id}`
pub(super) fn get(call: &Call<'_>, openai: OpenAi, id: &str) -> Result<Reply, ApiError> {
    let file = find(call, openai, id)?;
    Ok(Reply::json(&object(call, openai, &file)))
}

/// `DELETE /files/{id}`
pub(super) fn delete(call: &Call<'_>, openai: OpenAi, id: &str) -> Result<Reply, ApiError> {
    if !delete_file(call.sandbox, openai.name(), id).map_err(|_| ApiError::log_failed())? {
        return Err(unknown(id));
    }
    Ok(Reply::json(&json!({"id": id, "object": "file", "deleted": true})))
}

/// `GET /files/{id}/content`
pub(super) async fn content(call: &Call<'_>, openai: OpenAi, id: &str) -> Result<Reply, ApiError> {
    let file = find(call, openai, id)?;
    download(call, &file).await.map_err(|error| ApiError::server(error.to_string()))
}

fn find(call: &Call<'_>, openai: OpenAi, id: &str) -> Result<Arc<StoredFile>, ApiError> {
    call.sandbox.batches.files.get(openai.name(), id).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> ApiError {
    ApiError::invalid(404, format!("No such File object: {id}"), Some("id"), None)
}

/// Whether a file can be used.
pub(super) fn is_ready(call: &Call<'_>, file: &StoredFile) -> bool {
    let age = call.sandbox.clock.now().unix_ms.saturating_sub(file.created_ms);
    age >= call.config.batch.file_processing_ms
}

fn object(call: &Call<'_>, openai: OpenAi, file: &StoredFile) -> Value {
    let status = if openai == OpenAi::Azure && !is_ready(call, file) { "pending" } else { "processed" };
    json!({
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_ms / 1000,
        "expires_at": file.expires_ms.map(|ms| ms / 1000),
        "filename": file.name,
        "purpose": file.purpose,
        "status": status,
        "status_details": null,
    })
}
