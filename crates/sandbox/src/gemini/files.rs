//! `/files`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::batch_wire::{GeminiBatches, HIDDEN};
use super::error::ApiError;
use super::time;
use crate::batch::{StoredFile, Wire, delete_file, download};
use crate::call::Call;
use crate::reply::Reply;

/// `GET /files`, newest first.
pub(super) fn list(call: &Call<'_>) -> Result<Reply, ApiError> {
    let mut files = call.sandbox.batches.files.list(GeminiBatches::ByFile.family());
    files.retain(|file| file.purpose != HIDDEN);
    files.reverse();
    page(call, "files", &files, |file| file.number, |file| object(call, file))
}

/// `GET /files/{id}`
pub(super) fn get(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let file = find(call, &format!("files/{id}"))?;
    Ok(Reply::json(&object(call, &file)))
}

/// `DELETE /files/{id}`
pub(super) fn delete(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    let file = find(call, &format!("files/{id}"))?;
    delete_file(call.sandbox, file.family, &file.id).map_err(|error| server(&error))?;
    Ok(Reply::json(&json!({})))
}

/// `GET /files/{id}:download?alt=media`
pub(super) async fn content(call: &Call<'_>, id: &str) -> Result<Reply, ApiError> {
    if call.parameter("alt").as_deref() != Some("media") {
        return Err(ApiError::invalid("A download needs alt=media."));
    }
    let file = find(call, &format!("files/{id}"))?;
    download(call, &file).await.map_err(|error| server(&error))
}

/// A file by its name, `files/…`. Google does not say whether it is missing or another's.
pub(super) fn find(call: &Call<'_>, name: &str) -> Result<Arc<StoredFile>, ApiError> {
    let file = call.sandbox.batches.files.get(GeminiBatches::ByFile.family(), name);
    file.filter(|file| file.purpose != HIDDEN).ok_or_else(|| {
        let message = format!("You do not have permission to access the File {name} or it may not exist.");
        ApiError::new(403, "PERMISSION_DENIED", message)
    })
}

/// Whether a file can be used.
pub(super) fn is_ready(call: &Call<'_>, file: &StoredFile) -> bool {
    let age = call.sandbox.clock.now().unix_ms.saturating_sub(file.created_ms);
    age >= call.config.batch.file_processing_ms
}

/// The object of a file.
pub(super) fn object(call: &Call<'_>, file: &StoredFile) -> Value {
    let is_generated = file.expires_ms.is_none();
    let mut object = json!({
        "name": file.id,
        "displayName": file.name,
        "mimeType": file.purpose,
        "sizeBytes": file.bytes.to_string(),
        "createTime": time(file.created_ms),
        "updateTime": time(file.created_ms),
        "uri": format!("{}/gemini/v1beta/{}", call.origin(), file.id),
        "state": if is_ready(call, file) { "ACTIVE" } else { "PROCESSING" },
        "source": if is_generated { "GENERATED" } else { "UPLOADED" },
    });
    if let Some(expires_ms) = file.expires_ms {
        object["expirationTime"] = json!(time(expires_ms));
    }
    if is_generated {
        object["downloadUri"] = json!(format!("{}/gemini/v1beta/{}:download?alt=media", call.origin(), file.id));
    }
    object
}

/// What `pageSize` and `pageToken` ask for of a list, newest first. An empty list is left out.
pub(super) fn page<T>(
    call: &Call<'_>,
    name: &str,
    all: &[Arc<T>],
    number: impl Fn(&T) -> u64,
    object: impl Fn(&T) -> Value,
) -> Result<Reply, ApiError> {
    let size = match call.parameter("pageSize") {
        None => 50,
        Some(text) => {
            let size = text.parse().ok().filter(|size| (1..=1000).contains(size));
            size.ok_or_else(|| ApiError::invalid("pageSize must be from 1 to 1000."))?
        }
    };
    let before = match call.parameter("pageToken").filter(|token| !token.is_empty()) {
        None => u64::MAX,
        Some(token) => token.parse().map_err(|_| ApiError::invalid("pageToken is none of this list."))?,
    };
    let rest: Vec<_> = all.iter().filter(|item| number(item) < before).collect();
    let items = &rest[..size.min(rest.len())];
    let mut body = json!({});
    if let (Some(last), true) = (items.last(), rest.len() > size) {
        body["nextPageToken"] = json!(number(last).to_string());
    }
    if !items.is_empty() {
        body[name] = items.iter().map(|item| object(item)).collect();
    }
    Ok(Reply::json(&body))
}

pub(super) fn server(error: &std::io::Error) -> ApiError {
    ApiError::new(500, "INTERNAL", error.to_string())
}
