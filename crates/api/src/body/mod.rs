//! Request bodies: read within bounds, parsed strictly, checked whole.

mod fields;
mod json;

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::Value;

pub(crate) use self::fields::Fields;
use crate::App;
use crate::problem::{Problem, Problems};

/// A JSON body. [`Fields`] takes it apart.
pub(crate) struct JsonBody {
    pub value: Value,
    /// Of the bytes as they were sent.
    pub sha256: [u8; 32],
}

/// The body of a call that takes none: empty, or an empty object.
pub(crate) struct NoBody;

impl FromRequest<App> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        check_media_type(request.headers())?;
        let bytes = read(request, app.config.max_body_bytes, app.config.request_timeout / 2).await?;
        let sha256 = digest(&SHA256, &bytes).as_ref().try_into().expect("SHA-256 has 32 bytes");
        Ok(Self { value: json::parse(&bytes)?, sha256 })
    }
}

impl FromRequest<App> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let bytes = read(request, app.config.max_body_bytes, app.config.request_timeout / 2).await?;
        if !bytes.is_empty() {
            let mut problems = Problems::default();
            if let Some(fields) = Fields::of_body(json::parse(&bytes)?, &mut problems) {
                fields.finish();
            }
            problems.check()?;
        }
        Ok(Self)
    }
}

/// JSON in UTF-8, not compressed.
fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let header = |name| headers.get(name).map_or(Some(""), |value| value.to_str().ok()).map(str::to_ascii_lowercase);
    let content_type = header(header::CONTENT_TYPE).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let json =
        media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    let utf8 =
        parts.filter_map(|part| part.strip_prefix("charset=")).all(|charset| charset.trim_matches('"') == "utf-8");
    let plain = matches!(header(header::CONTENT_ENCODING).as_deref(), Some("" | "identity"));
    if json && utf8 && plain {
        Ok(())
    } else {
        let detail = "send the body as `Content-Type: application/json`, in UTF-8 and not compressed";
        Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
    }
}

/// The bytes of a body.
///
/// # Errors
/// It is longer than `limit`, takes longer than `timeout`, or ends early.
pub(crate) async fn read(request: Request, limit: usize, timeout: Duration) -> Result<Bytes, Problem> {
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    match tokio::time::timeout(timeout, axum::body::to_bytes(request.into_body(), limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_over_limit(&error) => Err(too_large(limit)),
        Ok(Err(_)) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, "incomplete_body", "the connection ended inside the body"))
        }
        Err(_elapsed) => {
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body took too long to arrive"))
        }
    }
}

fn is_over_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string().contains("length limit exceeded"))
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is longer than {limit} bytes; put data into object storage and send its URI");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn b2_only_plain_json_in_utf8_is_taken() {
        let accepted = |value: &'static str| {
            check_media_type(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))])).is_ok()
        };
        for good in ["application/json", "Application/JSON; charset=\"UTF-8\"", "application/merge-patch+json"] {
            assert!(accepted(good), "{good}");
        }
        for bad in ["text/plain", "application/json; charset=latin1", "", "json"] {
            assert!(!accepted(bad), "{bad}");
        }
        assert!(check_media_type(&HeaderMap::new()).is_err());
    }

    #[test]
    fn b5_a_compressed_body_is_refused() {
        let headers = HeaderMap::from_iter([
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        ]);
        assert!(check_media_type(&headers).is_err());
    }

    #[tokio::test]
    async fn b4_a_body_over_the_limit_is_refused_announced_or_not() {
        for announced in [true, false] {
            let mut request =
                Request::new(axum::body::Body::from_stream(futures::stream::iter([Ok::<_, std::io::Error>("four")])));
            if announced {
                request.headers_mut().insert(header::CONTENT_LENGTH, 4.into());
            }
            let problem = read(request, 3, Duration::from_secs(5)).await.expect_err("too large");
            assert!(format!("{problem:?}").contains("payload_too_large"), "{problem:?}");
        }
    }
}
