//! What errors mean in every family, where the family says nothing else.

use domain::failure::Class;

/// Bytes of a body without a message that are quoted in the error.
const QUOTED_BYTES: usize = 300;

/// Class and code of a status that is no 2xx, by itself.
pub(crate) fn by_status(status: u16) -> (Class, &'static str) {
    match status {
        401 | 403 => (Class::KeyLevel, "provider_auth_failed"),
        402 => (Class::KeyLevel, "provider_quota_exhausted"),
        404 => (Class::KeyLevel, "model_not_found"),
        408 => (Class::Transient, "provider_timeout"),
        409 => (Class::Transient, "provider_conflict"),
        413 => (Class::Permanent, "request_too_large"),
        429 => (Class::Wait, "rate_limited"),
        503 | 529 => (Class::Wait, "provider_overloaded"),
        500 => (Class::Transient, "provider_error"),
        501..=599 => (Class::Transient, "provider_unavailable"),
        // A redirect is not followed: the base URL is wrong, for every row.
        300..=399 => (Class::KeyLevel, "provider_misconfigured"),
        _ => (Class::Permanent, "provider_rejected"),
    }
}

/// What an error reply says: its message, or the start of its body.
pub(crate) fn told(status: u16, message: Option<&str>, body: &[u8]) -> String {
    match message.filter(|message| !message.is_empty()) {
        Some(message) => format!("HTTP {status}: {message}"),
        None => format!("HTTP {status}: {}", quote(body)),
    }
}

/// The start of a body, as one line.
pub(crate) fn quote(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(QUOTED_BYTES)]);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { "(empty body)".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_the_provider_s_or_a_quote() {
        assert_eq!(told(500, Some("bad"), b"{}"), "HTTP 500: bad");
        assert_eq!(told(502, Some(""), b" <html>\n  <b>bad</b> "), "HTTP 502: <html> <b>bad</b>");
        assert_eq!(told(502, None, b""), "HTTP 502: (empty body)");
    }
}
