//! Bodies of error statuses, as a provider or the proxy before it sends them.

use std::borrow::Cow;

use crate::openai::ApiError;
use crate::reply::Reply;

/// The page of a proxy that found nobody behind it.
const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";

/// The reply for `status code=…`. Naming an error code or type makes a 502 JSON too.
pub(super) fn reply(status: u16, code: Option<&str>, kind: Option<&str>) -> Reply {
    if status == 502 && code.is_none() && kind.is_none() {
        return Reply::new(502, "text/html", BAD_GATEWAY.as_bytes().to_vec());
    }
    json(status, code, kind)
}

/// The reply that usually comes with a status.
pub(crate) fn usual_reply(status: u16) -> Reply {
    reply(status, None, None)
}

/// The same, always JSON.
pub(crate) fn json_reply(status: u16) -> Reply {
    json(status, None, None)
}

fn json(status: u16, code: Option<&str>, kind: Option<&str>) -> Reply {
    let (usual_kind, usual_code, message) = usual(status);
    let error = ApiError {
        status,
        message: Cow::Borrowed(message),
        kind: kind.map_or(Cow::Borrowed(usual_kind), |kind| Cow::Owned(kind.to_owned())),
        param: None,
        code: code.map(|code| Cow::Owned(code.to_owned())).or(usual_code.map(Cow::Borrowed)),
    };
    error.into()
}

/// Type, code and message that usually come with a status.
fn usual(status: u16) -> (&'static str, Option<&'static str>, &'static str) {
    const INVALID: &str = "invalid_request_error";
    match status {
        401 => (INVALID, Some("invalid_api_key"), "Incorrect API key provided."),
        403 => (INVALID, Some("unsupported_country_region_territory"), "Access denied."),
        404 => (INVALID, Some("model_not_found"), "The model does not exist."),
        408 => ("timeout", None, "The request timed out."),
        409 => ("conflict", None, "The resource is locked; try again."),
        413 => (INVALID, Some("request_too_large"), "The request body is too large."),
        422 => (INVALID, None, "The request could not be processed."),
        429 => ("requests", Some("rate_limit_exceeded"), "Rate limit reached."),
        503 => ("service_unavailable_error", Some("server_is_overloaded"), "Overloaded."),
        504 => ("server_error", Some("timeout"), "The upstream took too long."),
        529 => ("overloaded_error", None, "Overloaded."),
        500.. => ("server_error", None, "The server had an error."),
        _ => (INVALID, None, "The request is invalid."),
    }
}
