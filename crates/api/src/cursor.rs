//! Places in lists, as callers hold them: opaque, and good only for the list that they came from.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::problem::Problem;

const CHECK_BYTES: usize = 8;

/// `list` names the tenant, the thing listed and the filters.
pub(crate) fn encode(position: u128, list: &[&str]) -> String {
    seal(&position.to_be_bytes(), list)
}

/// The same for lists whose places are texts.
pub(crate) fn encode_text(position: &str, list: &[&str]) -> String {
    seal(position.as_bytes(), list)
}

/// # Errors
/// 400 `invalid_cursor`: changed, or from another list.
pub(crate) fn decode(text: &str, list: &[&str]) -> Result<u128, Problem> {
    let position = open(text, list)?.try_into().map_err(|_| invalid())?;
    Ok(u128::from_be_bytes(position))
}

/// # Errors
/// 400 `invalid_cursor`: changed, or from another list.
pub(crate) fn decode_text(text: &str, list: &[&str]) -> Result<String, Problem> {
    String::from_utf8(open(text, list)?).map_err(|_| invalid())
}

fn seal(position: &[u8], list: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode([&check(position, list), position].concat())
}

fn open(text: &str, list: &[&str]) -> Result<Vec<u8>, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
    let (found, position) = bytes.split_at_checked(CHECK_BYTES).ok_or_else(invalid)?;
    if found == check(position, list) { Ok(position.to_vec()) } else { Err(invalid()) }
}

fn invalid() -> Problem {
    let detail = "this cursor is not one of this list with these filters; start again without it";
    Problem::new(StatusCode::BAD_REQUEST, "invalid_cursor", detail)
}

/// A checksum, not a signature: a forged cursor shows nothing that a caller could not list anyway.
fn check(position: &[u8], list: &[&str]) -> [u8; CHECK_BYTES] {
    let mut text = Vec::new();
    for part in list {
        text.extend((part.len() as u64).to_be_bytes());
        text.extend(part.as_bytes());
    }
    text.extend(position);
    let hash = digest(&SHA256, &text);
    hash.as_ref()[..CHECK_BYTES].try_into().expect("SHA-256 is longer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b16_a_cursor_is_good_for_its_own_list_only() {
        let cursor = encode(42, &["ten_1", "failed"]);
        assert_eq!(decode(&cursor, &["ten_1", "failed"]).ok(), Some(42));
        assert!(decode(&cursor, &["ten_2", "failed"]).is_err());
        assert!(decode(&cursor, &["ten_1f", "ailed"]).is_err());
        for tampered in ["", "x", &cursor[1..], &format!("A{}", &cursor[1..].to_uppercase()), "💥"] {
            assert!(decode(tampered, &["ten_1", "failed"]).is_err(), "{tampered}");
        }
    }

    #[test]
    fn a_place_may_be_a_text() {
        let cursor = encode_text("together/meta/llama", &["models"]);
        assert_eq!(decode_text(&cursor, &["models"]).ok().as_deref(), Some("together/meta/llama"));
        assert!(decode_text(&cursor, &["providers"]).is_err() && decode(&cursor, &["models"]).is_err());
    }
}
