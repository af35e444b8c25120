//! `/v1/files`.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::HOST;
use serde_json::{Value, json};

use super::Mistral;
use super::error::ApiError;
use super::page::page;
use crate::batch::{StoredFile, UploadError, Wire, delete_file, download, keep, receive};
use crate::call::Call;
use crate::reply::Reply;

/// `POST /v1/files`
pub(super) async fn upload(call: &Call<'_>, body: Incoming, answered: bool) -> Result<Reply, ApiError> {
    let max_bytes = call.config.batch.max_bytes.unwrap_or(Mistral.rules().max_bytes);
    let received = receive(call.sandbox, &call.config, &call.headers, body, max_bytes).await;
    let mut upload = received.map_err(|error| refused(&error))?;
    let purpose = upload.field("purpose").unwrap_or("fine-tune").to_owned();
    if !["batch", "fine-tune", "ocr"].contains(&purpose.as_str()) {
        return Err(ApiError::field("purpose", "enum", "Input should be 'fine-tune', 'batch' or 'ocr'"));
    }
    let file = upload.file.take().ok_or_else(|| ApiError::field("file", "missing", "Field required"))?;
    let file = keep(call, &Mistral, file, purpose, None, answered).map_err(server)?;
    Ok(Reply::json(&object(&file)))
}

pub(super) fn refused(error: &UploadError) -> ApiError {
    match error {
        UploadError::Form(_) => ApiError::field("file", "value_error", &error.to_string()),
        UploadError::TooLarge(_) => ApiError::new(413, "invalid_request_error", None, error.to_string()),
        UploadError::Io(_) => ApiError::server(error.to_string()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn server(error: std::io::Error) -> ApiError {
    ApiError::server(error.to_string())
}

/// `GET /v1/files`
pub(super) fn list(call: &Call<'_>) -> Result<Reply, ApiError> {
    let mut files = call.sandbox.batches.files.list(Mistral.family());
    files.reverse();
    if let Some(purpose) = call.parameter("purpose") {
        files.retain(|file| file.purpose == purpose);
    }
    if let Some(search) = call.parameter("search") {
        files.retain(|file| file.name.contains(&search));
    }
    let total = files.len();
    let (start, end) = page(call, total)?;
    let data: Vec<_> = files[start..end].iter().map(|file| object(file)).collect();
    Ok(Reply::json(&json!({"data": data, "object": "list", "total": total})))
}

/// `GET /v1/files/{id}`
pub(super) fn get(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let file = find(call, id)?;
    Ok(Reply::json(&object(&file)))
}

/// `GET /v1/files/{id}/content`
pub(super) async fn content(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let file = find(call, id)?;
    download(call, &file).await.map_err(server)
}

/// `GET /v1/files/{id}/url`: a link that needs no key.
pub(super) fn url(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let file = find(call, id)?;
    let host = call.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let url = format!("http://{host}/mistral/signed/{}?signature=sandbox", file.id);
    Ok(Reply::json(&json!({"url": url})))
}

/// `DELETE /v1/files/{id}`
pub(super) fn delete(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    if !delete_file(call.sandbox, Mistral.family(), id).map_err(server)? {
        return Err(ApiError::not_found("File", id));
    }
    Ok(Reply::json(&json!({"id": id, "object": "file", "deleted": true})))
}

pub(super) fn find(call: &Call<'_>, id: &str) -> Result<Arc<StoredFile>, ApiError> {
    let file = call.sandbox.batches.files.get(Mistral.family(), id);
    file.ok_or_else(|| ApiError::not_found("File", id))
}

fn object(file: &StoredFile) -> Value {
    let kind = match file.name.rsplit_once('_') {
        Some((_, "output.jsonl")) => "batch_result",
        Some((_, "error.jsonl")) => "batch_error",
        _ => "batch_request",
    };
    json!({
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_ms / 1000,
        "filename": file.name,
        "purpose": file.purpose,
        "sample_type": kind,
        "num_lines": file.lines,
        "mimetype": "application/jsonl",
        "source": if kind == "batch_request" { "upload" } else { "mistral" },
        "signature": null,
        "expires_at": file.expires_ms.map(|ms| ms / 1000),
        "visibility": "workspace",
        "deleted": false,
    })
}
