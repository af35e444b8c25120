//! Sends a request, repeats it where that is safe, and reads the answer.

use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use super::{Client, Error, Problem, Result};

/// How often a call is repeated.
const MAX_RETRIES: u32 = 3;
/// Longest pause that a `Retry-After` may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
/// A page of items may be large; nothing that the API answers as JSON is larger.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// Whether a call may be sent again although the first one may have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Safe,
    /// Only where nothing was sent, or the service said that it did nothing.
    IfNotDone,
}

impl Client {
    /// Sends a call that may be repeated and reads its JSON answer.
    pub(super) async fn fetch<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        self.call(request, Repeat::Safe).await
    }

    /// Sends a call and reads its JSON answer.
    pub(super) async fn call<T: DeserializeOwned>(&self, request: RequestBuilder, repeat: Repeat) -> Result<T> {
        read_json(self.send(request.timeout(self.builder.answer_timeout), repeat).await?).await
    }

    /// Sends a call whose answer has no body that matters.
    pub(super) async fn perform(&self, request: RequestBuilder, repeat: Repeat) -> Result<()> {
        self.send(request.timeout(self.builder.answer_timeout), repeat).await.map(drop)
    }

    /// Sends a call and gives its answer, unread, where that is a success or a redirect.
    pub(super) async fn send(&self, request: RequestBuilder, repeat: Repeat) -> Result<Response> {
        let request = request.build().map_err(|source| Error::Setup { source })?;
        let mut retry = 0;
        loop {
            // Bodies are JSON in memory, so every request can be cloned.
            let attempt = request.try_clone().expect("a request without a streamed body");
            let (error, delay) = match self.http.execute(attempt).await {
                Ok(response) if response.status().as_u16() < 400 => return Ok(response),
                Ok(response) => {
                    let retry_after = retry_after(&response);
                    (refusal(response).await, retry_after)
                }
                Err(source) => (transport_error(request.url().as_str(), source), None),
            };
            if retry == MAX_RETRIES || !may_repeat(&error, repeat, request.method()) {
                return Err(error);
            }
            tokio::time::sleep(delay.unwrap_or_else(|| self.builder.delay_before_retry(retry))).await;
            retry += 1;
        }
    }
}

fn may_repeat(error: &Error, repeat: Repeat, method: &Method) -> bool {
    match error {
        // Nothing was sent, or nothing was done.
        Error::Unreachable { .. } | Error::Refused { status: 429, .. } => true,
        Error::Broken { .. } | Error::Refused { status: 502..=504, .. } => repeat == Repeat::Safe,
        // Our first try is still at work, as after a broken connection; its key makes the second harmless.
        Error::Refused { status: 409, problem } => {
            *method == Method::POST && problem.has_code("idempotency_in_progress")
        }
        _ => false,
    }
}

pub(super) fn transport_error(url: &str, source: reqwest::Error) -> Error {
    let url = url.to_owned();
    // The message names the URL already; a signed one would leak with it.
    let source = source.without_url();
    if source.is_connect() {
        Error::Unreachable { url, source }
    } else if source.is_timeout() {
        Error::Timeout { url }
    } else {
        Error::Broken { url, source }
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds: u64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// The error in an answer of 400 and above.
pub(super) async fn refusal(response: Response) -> Error {
    let status = response.status();
    let problem = match read_body(response).await {
        Ok(body) => parse_problem(status, &body),
        Err(_) => parse_problem(status, b""),
    };
    Error::Refused { status: status.as_u16(), problem: Box::new(problem) }
}

fn parse_problem(status: StatusCode, body: &[u8]) -> Problem {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body)
        && (problem.title.is_some() || problem.code.is_some())
    {
        return problem;
    }
    let text: String = String::from_utf8_lossy(body).trim().chars().take(200).collect();
    Problem {
        title: Some(status.canonical_reason().unwrap_or("refused").to_owned()),
        detail: (!text.is_empty()).then_some(text),
        ..Problem::default()
    }
}

async fn read_json<T: DeserializeOwned>(response: Response) -> Result<T> {
    let url = response.url().to_string();
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = read_body(response).await?;
    // An answer without a body has nothing to say.
    let json: &[u8] = if body.is_empty() { b"null" } else { &body };
    serde_json::from_slice(json).map_err(|error| {
        let content_type = content_type.unwrap_or_else(|| "no content type".to_owned());
        Error::InvalidAnswer { url, reason: format!("{error} ({content_type})") }
    })
}

async fn read_body(mut response: Response) -> Result<BytesMut> {
    let url = response.url().to_string();
    let mut body = BytesMut::new();
    while let Some(bytes) = response.chunk().await.map_err(|source| transport_error(&url, source))? {
        if body.len() + bytes.len() > MAX_ANSWER_BYTES {
            return Err(Error::InvalidAnswer { url, reason: format!("it is longer than {MAX_ANSWER_BYTES} bytes") });
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}
