//! A finished job's table.

use std::path::Path;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Response, StatusCode};
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};
use url::Url;

use super::request::{Repeat, refusal, transport_error};
use super::{Client, Error, Result};

/// From the service to a signed URL, and one more for storage that sends us on to another region.
const MAX_REDIRECTS: u32 = 5;

/// An output on its way. Its bytes come as they are read; nothing is kept.
#[derive(Debug)]
pub struct Output {
    response: Response,
    address: String,
}

impl Client {
    /// Opens a job's output, following the service to where it is stored.
    ///
    /// The API key goes to the service only, never to another host.
    pub async fn output(&self, job_id: &str) -> Result<Output> {
        let mut response = self.send(self.get(&["v1", "jobs", job_id, "output"]), Repeat::Safe).await?;
        for _ in 0..MAX_REDIRECTS {
            if !response.status().is_redirection() {
                return Output::new(response);
            }
            let target = redirect_target(&response)?;
            response = if target.origin() == self.base_url.origin() {
                self.send(self.authorized(self.http.get(target)), Repeat::Safe).await?
            } else {
                fetch_from_storage(&self.builder.http_for(&target)?, target).await?
            };
        }
        Err(Error::InvalidAnswer { url: address(response.url()), reason: "it is redirected without end".to_owned() })
    }

    /// Writes a job's output to a writer and gives its length in bytes.
    pub async fn download(&self, job_id: &str, writer: &mut (impl AsyncWrite + Unpin)) -> Result<u64> {
        self.output(job_id).await?.write_to(writer).await
    }

    /// Writes a job's output to a file, which appears whole or not at all, and gives its length in bytes.
    ///
    /// A file that is there already is replaced.
    pub async fn download_to_file(&self, job_id: &str, path: &Path) -> Result<u64> {
        self.output(job_id).await?.write_to_file(path).await
    }
}

impl Output {
    fn new(response: Response) -> Result<Self> {
        let address = address(response.url());
        match response.status() {
            StatusCode::OK => Ok(Self { response, address }),
            other => Err(Error::InvalidAnswer { url: address, reason: format!("HTTP {other} instead of the output") }),
        }
    }

    pub fn content_type(&self) -> Option<&str> {
        self.response.headers().get(CONTENT_TYPE)?.to_str().ok()
    }

    /// The next bytes; None at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        self.response.chunk().await.map_err(|source| transport_error(&self.address, source))
    }

    /// See [`Client::download`].
    pub async fn write_to(mut self, writer: &mut (impl AsyncWrite + Unpin)) -> Result<u64> {
        let mut written = 0;
        while let Some(bytes) = self.next().await? {
            writer.write_all(&bytes).await.map_err(|source| Error::Write { source })?;
            written += bytes.len() as u64;
        }
        writer.flush().await.map_err(|source| Error::Write { source })?;
        Ok(written)
    }

    /// See [`Client::download_to_file`].
    pub async fn write_to_file(self, path: &Path) -> Result<u64> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let (file, temporary) = temporary_beside(path).map_err(failed)?.into_parts();
        let mut writer = BufWriter::with_capacity(1 << 20, tokio::fs::File::from_std(file));
        let written = match self.write_to(&mut writer).await {
            Err(Error::Write { source }) => return Err(failed(source)),
            other => other?,
        };
        writer.get_ref().sync_all().await.map_err(failed)?;
        temporary.persist(path).map_err(|error| failed(error.error))?;
        Ok(written)
    }
}

/// A file in the same directory, so that it can be renamed into place; gone if it never is.
fn temporary_beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".gristmill-").suffix(".partial");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}

async fn fetch_from_storage(storage: &reqwest::Client, url: Url) -> Result<Response> {
    let address = address(&url);
    let response = storage.get(url).send().await.map_err(|source| transport_error(&address, source))?;
    if response.status().as_u16() < 400 { Ok(response) } else { Err(refusal(response).await) }
}

fn redirect_target(response: &Response) -> Result<Url> {
    let invalid = |reason: &str| Error::InvalidAnswer { url: address(response.url()), reason: reason.to_owned() };
    let location = response.headers().get(LOCATION).ok_or_else(|| invalid("a redirect to nowhere"))?;
    let location = location.to_str().map_err(|_| invalid("a redirect to what is not a URL"))?;
    let target = response.url().join(location).map_err(|_| invalid("a redirect to what is not a URL"))?;
    match target.scheme() {
        "http" | "https" => Ok(target),
        _ => Err(invalid("a redirect to what is neither http nor https")),
    }
}

/// A URL for messages: without its query, in which a signature may stand.
fn address(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}
