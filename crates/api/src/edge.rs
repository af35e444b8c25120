//! Around every request: its id, its span, a bound on its time, and problems as documents.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tracing::{Instrument, Span, field, info_span};
use uuid::Uuid;

use crate::App;
use crate::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer.
pub(crate) async fn edge(request: Request, next: Next) -> Response {
    let request_id = request_id(request.headers());
    let span = span(&request, &request_id);
    async {
        let started = Instant::now();
        let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_panic) => {
                tracing::error!("a handler panicked");
                Problem::defect().into_response()
            }
        };
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            let headers = std::mem::take(response.headers_mut());
            response = problem.render(&request_id);
            keep_allow(&headers, response.headers_mut());
        }
        let value = HeaderValue::from_str(&request_id).expect("a request id is printable ASCII");
        response.headers_mut().insert(REQUEST_ID, value);
        Span::current().record("http.status", response.status().as_u16());
        tracing::debug!(elapsed_ms = started.elapsed().as_millis(), "answered");
        response
    }
    .instrument(span)
    .await
}

/// Without query, headers and body: each of them may hold what is nobody's business.
fn span(request: &Request, request_id: &str) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    info_span!(
        "http.request",
        http.method = %request.method(),
        http.route = route,
        request.id = request_id,
        tenant.id = field::Empty,
        http.status = field::Empty,
    )
}

/// The router lists the allowed methods on the answer that a 405's problem replaces.
fn keep_allow(from: &HeaderMap, to: &mut HeaderMap) {
    if let Some(allow) = from.get(header::ALLOW) {
        to.insert(header::ALLOW, allow.clone());
    }
}

/// The caller's own id where it is short and harmless to print, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    const LONGEST: usize = 128;
    let harmless = |id: &&str| {
        (1..=LONGEST).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(harmless);
    given.map_or_else(|| format!("req_{}", Uuid::now_v7().simple()), str::to_owned)
}

/// Ends a request that takes too long before its answer begins.
pub(crate) async fn bounded(State(app): State<App>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(app.config.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => {
            tracing::warn!("a request took too long");
            Problem::unavailable("temporarily_unavailable", "the answer took too long; try again").into_response()
        }
    }
}

pub(crate) async fn no_such_path() -> Problem {
    Problem::not_found()
}

pub(crate) async fn no_such_method(method: Method) -> Problem {
    let detail = format!("{method} means nothing here; the Allow header lists what does");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt;

    use super::*;

    fn router() -> Router {
        Router::new()
            .route("/panics", get(async || -> Response { panic!("a defect") }))
            .route("/fine", get(async || "fine"))
            .fallback(no_such_path)
            .method_not_allowed_fallback(no_such_method)
            .layer(middleware::from_fn(edge))
    }

    async fn ask(method: Method, path: &str) -> (u16, HeaderMap, serde_json::Value) {
        let request = Request::builder().method(method).uri(path).header(REQUEST_ID, "r-1").body(Body::empty());
        let response = router().oneshot(request.expect("a request")).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 10_000).await.expect("a body");
        (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn b9_every_refusal_is_a_problem_document_with_the_request_s_id() {
        for (method, path, status, code) in [
            (Method::GET, "/nothing", 404, "not_found"),
            (Method::POST, "/fine", 405, "method_not_allowed"),
            (Method::GET, "/panics", 500, "internal_error"),
        ] {
            let (found, headers, body) = ask(method, path).await;
            assert_eq!((found, &body["code"], &body["instance"]), (status, &code.into(), &"r-1".into()), "{path}");
            assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
            assert_eq!(headers.get(header::ALLOW).is_some(), status == 405);
        }
    }

    #[tokio::test]
    async fn an_answer_carries_the_request_s_id() {
        let (status, headers, _) = ask(Method::GET, "/fine").await;
        assert_eq!((status, &headers[REQUEST_ID]), (200, &HeaderValue::from_static("r-1")));
    }

    fn id_for(given: &str) -> String {
        request_id(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(given).expect("a header"))]))
    }

    #[test]
    fn a_harmless_request_id_is_kept_and_another_is_replaced() {
        assert_eq!(id_for("abc-1"), "abc-1");
        assert!(id_for("a b").starts_with("req_"));
        assert!(id_for(&"x".repeat(500)).starts_with("req_"));
    }
}
