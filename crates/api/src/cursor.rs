//! Places in lists, as callers hold them: opaque, and good only for the list that they came from.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::problem::Problem;

const POSITION_BYTES: usize = 16;
const CHECK_BYTES: usize = 8;

/// `list` names the tenant, the thing listed and the filters.
pub(crate) fn encode(position: u128, list: &[&str]) -> String {
    let position = position.to_be_bytes();
    URL_SAFE_NO_PAD.encode([position.as_slice(), &check(position, list)].concat())
}

/// # Errors
/// 400 `invalid_cursor`: changed, or from another list.
pub(crate) fn decode(text: &str, list: &[&str]) -> Result<u128, Problem> {
    let invalid = || {
        let detail = "this cursor is not one of this list with these filters; start again without it";
        Problem::new(StatusCode::BAD_REQUEST, "invalid_cursor", detail)
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
    let (position, found) = bytes.split_at_checked(POSITION_BYTES).ok_or_else(invalid)?;
    let position: [u8; POSITION_BYTES] = position.try_into().expect("split there");
    if found == check(position, list) { Ok(u128::from_be_bytes(position)) } else { Err(invalid()) }
}

/// A checksum, not a signature: a forged cursor shows nothing that a caller could not list anyway.
fn check(position: [u8; POSITION_BYTES], list: &[&str]) -> [u8; CHECK_BYTES] {
    let mut text = position.to_vec();
    for part in list {
        text.extend((part.len() as u64).to_be_bytes());
        text.extend(part.as_bytes());
    }
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
}
