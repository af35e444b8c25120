//! The `Idempotency-Key` header.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use crate::problem::Problem;

/// The request's key, if it has one: a structured string (`"abc"`) or the bare text.
pub(crate) struct IdempotencyKey(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parse(&parts.headers).map(Self)
    }
}

const LONGEST: usize = 255;

fn parse(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|_| values.next().is_none()).and_then(unquoted);
    let key =
        key.filter(|key| (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    key.map(Some).ok_or_else(|| {
        let detail = format!("Idempotency-Key is one header of 1 to {LONGEST} printable ASCII characters");
        Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", detail)
    })
}

/// Structured strings escape quotes and backslashes (RFC 8941, section 3.3.3).
fn unquoted(text: &str) -> Option<String> {
    let text = text.trim();
    let Some(quoted) = text.strip_prefix('"') else {
        return Some(text.to_owned());
    };
    let mut characters = quoted.strip_suffix('"')?.chars();
    let mut key = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            '"' => return None,
            other => key.push(other),
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn key(values: &[&str]) -> Result<Option<String>, &'static str> {
        let headers = values.iter().map(|value| {
            let name = axum::http::HeaderName::from_static("idempotency-key");
            (name, HeaderValue::from_bytes(value.as_bytes()).expect("a header"))
        });
        parse(&headers.collect()).map_err(|_| "invalid")
    }

    #[test]
    fn b13_quoted_and_bare_keys_are_the_same_and_bad_ones_are_refused() {
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&["abc"]), key(&["\"abc\""]));
        assert_eq!(key(&[r#""a\"b\\""#]), Ok(Some(r#"a"b\"#.into())));
        let long = "x".repeat(300);
        for bad in [vec![""], vec!["\"\""], vec![long.as_str()], vec!["ü"], vec!["\"abc"], vec!["a", "b"], vec!["a\tb"]]
        {
            assert_eq!(key(&bad), Err("invalid"), "{bad:?}");
        }
    }
}
