//! The Files API.

use domain::failure::{Class, Failure};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::json;

use super::error::Status;
use super::{Gemini, resource};
use crate::call_error::{Target, parse};
use crate::client::{Download, FileBody, HttpError};
use crate::{CallError, EncodedFile};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFile {
    /// `files/…`.
    name: Option<String>,
    display_name: Option<String>,
    state: Option<String>,
    error: Option<Status>,
}

#[derive(Deserialize)]
struct Uploaded {
    file: WireFile,
}

const PROTOCOL: HeaderName = HeaderName::from_static("x-goog-upload-protocol");
const COMMAND: HeaderName = HeaderName::from_static("x-goog-upload-command");
const OFFSET: HeaderName = HeaderName::from_static("x-goog-upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("x-goog-upload-header-content-length");
const MEDIA_TYPE: HeaderName = HeaderName::from_static("x-goog-upload-header-content-type");
const SESSION: &str = "x-goog-upload-url";

impl Gemini {
    pub(super) async fn upload_file(&self, file: &EncodedFile<'_>) -> Result<String, CallError> {
        let session = self.begin_upload(file).await?;
        let mut headers = self.api.headers.clone();
        headers.insert(COMMAND, HeaderValue::from_static("upload, finalize"));
        headers.insert(OFFSET, HeaderValue::from_static("0"));
        let body = FileBody { before: "".into(), file: *file, after: "".into() };
        let reply = self.api.http.upload(Method::POST, &session, headers, body, self.api.timeout).await;
        let uploaded: Uploaded = parse(&Self::done(Target::Collection, reply)?)?;
        let name = uploaded.file.name.filter(|name| !name.is_empty());
        name.ok_or_else(|| CallError::unreadable("the file has no name"))
    }

    /// Where the bytes are to go.
    async fn begin_upload(&self, file: &EncodedFile<'_>) -> Result<Url, CallError> {
        let mut headers = self.api.json_headers();
        headers.insert(PROTOCOL, HeaderValue::from_static("resumable"));
        headers.insert(COMMAND, HeaderValue::from_static("start"));
        headers.insert(LENGTH, file.bytes.into());
        headers.insert(MEDIA_TYPE, HeaderValue::from_static("application/jsonl"));
        let json = json!({"file": {"displayName": file.name}}).to_string().into_bytes();
        let begun = self.api.http.post(&self.upload_url()?, headers, json, self.api.timeout).await;
        let session = begun.as_ref().ok().and_then(|reply| reply.headers.get(SESSION)).cloned();
        Self::done(Target::Collection, begun)?;
        let session = session.as_ref().and_then(|url| url.to_str().ok());
        let session = session.ok_or_else(|| CallError::unreadable("the upload has no address"))?;
        Ok(self.api.own_url(session)?)
    }

    /// `…/upload/v1beta/files`, where files are listed at `…/v1beta/files`.
    fn upload_url(&self) -> Result<Url, HttpError> {
        let mut url = self.api.url(&["files"])?;
        let mut segments: Vec<&str> = url.path().split('/').collect();
        segments.insert(segments.len().saturating_sub(2).max(1), "upload");
        let path = segments.join("/");
        url.set_path(&path);
        Ok(url)
    }

    pub(super) async fn file_is_ready(&self, file: &str) -> Result<bool, CallError> {
        let file: WireFile = parse(&Self::done(Target::Object, self.api.get(&resource(file), &[]).await)?)?;
        match file.state.as_deref() {
            Some("PROCESSING") => Ok(false),
            Some("FAILED") => {
                let message = file.error.as_ref().map_or("the provider could not process the file", Status::message);
                Err(CallError::new(Failure::new(Class::Permanent, "file_rejected", message)))
            }
            Some(_) | None => Ok(true),
        }
    }

    pub(super) async fn download_file(&self, file: &str, into: &mut Download) -> Result<(), CallError> {
        let mut url = self.api.url(&resource(&format!("{file}:download")))?;
        url.set_query(Some("alt=media"));
        let reply = self.api.http.download(&url, self.api.headers.clone(), into, self.api.timeout).await;
        Self::done(Target::Object, reply).map(drop)
    }

    pub(super) async fn files_named(&self, name: &str) -> Result<Vec<String>, CallError> {
        let found = self.list("files", |file: &WireFile| file.display_name.as_deref() == Some(name)).await?;
        Ok(found.into_iter().filter_map(|file| file.name).collect())
    }
}
