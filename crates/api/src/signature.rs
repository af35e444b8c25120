//! Signatures of incoming webhooks, after Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

/// How far the sender's clock may be off, in seconds; a call that was overheard can't be repeated later than that.
const TOLERANCE_S: i64 = 300;

/// A shared secret. Not the crate `standardwebhooks`, which asks the system for the time.
pub(crate) struct SigningKey(hmac::Key);

impl SigningKey {
    /// From `whsec_` and base64; the prefix may be missing. `None`: it is none.
    pub(crate) fn parse(secret: &str) -> Option<Self> {
        let secret = secret.trim();
        let bytes = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?;
        (!bytes.is_empty()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// Whether one of a call's signatures is of this key, and of this time.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn verify(&self, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Result<(), &'static str> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(timestamp), Some(signatures)) =
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
        else {
            return Err("the headers webhook-id, webhook-timestamp and webhook-signature are needed");
        };
        let sent_at: i64 = timestamp.parse().map_err(|_| "webhook-timestamp is not a number of seconds")?;
        if now.timestamp().abs_diff(sent_at) > TOLERANCE_S.unsigned_abs() {
            return Err("webhook-timestamp is more than 300 seconds off");
        }
        let mut context = hmac::Context::with_key(&self.0);
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            context.update(part);
        }
        let expected = context.sign();
        let is_ours = |signature: &str| {
            let signature = signature.strip_prefix("v1,").and_then(|signature| STANDARD.decode(signature).ok());
            signature.is_some_and(|signature| verify_slices_are_equal(expected.as_ref(), &signature).is_ok())
        };
        if signatures.split(' ').any(is_ours) { Ok(()) } else { Err("no signature is of the secret stored here") }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED_AT: i64 = 1_614_265_330;

    fn headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
        [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)]
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header")))
            .collect()
    }

    fn verify(signature: &str, body: &[u8], seconds_later: i64) -> Result<(), &'static str> {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let now = DateTime::from_timestamp(SIGNED_AT + seconds_later, 0).expect("a time");
        key.verify(&headers("msg_p5jXN8AQM9LWM0D4loKWxJek", &SIGNED_AT.to_string(), signature), body, now)
    }

    /// The example of the specification.
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn one_of_several_signatures_is_enough() {
        assert_eq!(verify(SIGNATURE, BODY, 0), Ok(()));
        assert_eq!(verify(&format!("v1,AAAA v2,x {SIGNATURE}"), BODY, 0), Ok(()));
        for wrong in
            ["", "v1,", "v1,AAAA", &SIGNATURE[3..], &SIGNATURE.replace("v1", "v2"), &SIGNATURE.replace('g', "h")]
        {
            assert!(verify(wrong, BODY, 0).is_err(), "{wrong}");
        }
        assert!(verify(SIGNATURE, b"{}", 0).is_err());
    }

    #[test]
    fn a_call_is_good_for_five_minutes() {
        for (later, is_good) in [(300, true), (-300, true), (301, false), (-301, false), (i64::from(i32::MAX), false)] {
            assert_eq!(verify(SIGNATURE, BODY, later).is_ok(), is_good, "{later}");
        }
        let key = SigningKey::parse("c2VjcmV0").expect("a secret without prefix");
        let now = DateTime::from_timestamp(SIGNED_AT, 0).expect("a time");
        for timestamp in ["", "x", "1e9", "99999999999999999999", "-9223372036854775808"] {
            assert!(key.verify(&headers("m", timestamp, SIGNATURE), BODY, now).is_err(), "{timestamp}");
        }
        assert!(key.verify(&HeaderMap::new(), BODY, now).is_err());
    }

    #[test]
    fn a_secret_is_base64() {
        for wrong in ["", "whsec_", "sk-123!", "whsec_ü"] {
            assert!(SigningKey::parse(wrong).is_none(), "{wrong}");
        }
    }
}
