//! The one form of an error: a problem document after RFC 9457.

mod from;
mod validation;

use std::error::Error;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use self::validation::Problems;

/// Why a request failed. It becomes a document at the edge, which knows the request's id.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// JSON pointer into the body, or `?name` for a query parameter.
    pub pointer: String,
    pub code: &'static str,
    pub message: String,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
struct Document {
    /// Names the kind of problem; `code` as a URI.
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// The request's id.
    instance: String,
    /// Stable and machine-readable.
    code: &'static str,
    /// One entry per wrong field, all at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// Seconds after which a caller should try again.
const RETRY_AFTER_S: u32 = 2;

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// Also what another tenant's things look like.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here that this key may see")
    }

    pub(crate) fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    pub(crate) fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    pub(crate) fn not_yet_supported(what: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "not_yet_supported", format!("{what} is not supported yet"))
    }

    /// One wrong field.
    pub(crate) fn field(pointer: &str, code: &'static str, message: impl Into<String>) -> Self {
        Problems::of(pointer, code, message).into_problem()
    }

    /// Something that will pass by itself.
    pub(crate) fn unavailable(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).with_retry_after()
    }

    /// A defect, or a state that only an operator can mend. The cause goes to the log, not to the caller.
    pub(crate) fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %chain(error), "a request failed");
        Self::defect()
    }

    pub(crate) fn defect() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "the service failed; its log has the cause under this request's id",
        )
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn with_retry_after(self) -> Self {
        self.with_header(header::RETRY_AFTER, RETRY_AFTER_S.into())
    }

    /// The document, as the answer to the request of this id.
    pub(crate) fn render(self, request_id: &str) -> Response {
        let document = Document {
            r#type: format!("urn:gristmill:problem:{}", self.code),
            title: title(self.code),
            status: self.status.as_u16(),
            detail: self.detail,
            instance: request_id.to_owned(),
            code: self.code,
            errors: self.errors,
        };
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers);
        response
    }
}

/// An empty answer that carries the problem to the edge.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The code in words: `not_found` is "Not found".
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut characters = words.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}

/// An error and all its causes.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The schemas that the document needs beside those of the operations.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(Document, FieldError)))]
pub(crate) struct Schemas;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_code_in_words() {
        assert_eq!(title("template_unknown_variable"), "Template unknown variable");
    }
}
