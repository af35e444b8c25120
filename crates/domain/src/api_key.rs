//! The text of an API key: `gm_` + 43 characters of randomness + 6 of checksum.
//!
//! The prefix lets secret scanners find leaked keys, and the checksum lets a mistyped or truncated key be refused without a
//! database read.

use std::fmt;

/// A well-formed key. Not yet known to be anybody's.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// A text that can't be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key: keys start with `gm_`, and this one is cut short or mistyped")]
pub struct InvalidApiKey;

const PREFIX: &str = "gm_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 is a little more than 2^256.
const SECRET_LENGTH: usize = 43;
/// 62^6 is a little more than 2^32.
const CHECKSUM_LENGTH: usize = 6;

impl ApiKey {
    /// The key of 256 random bits.
    pub fn from_random(random: [u8; 32]) -> Self {
        let secret = base62(&random, SECRET_LENGTH);
        let checksum = base62(&crc32fast::hash(secret.as_bytes()).to_be_bytes(), CHECKSUM_LENGTH);
        Self(format!("{PREFIX}{secret}{checksum}"))
    }

    /// # Errors
    /// Wrong prefix, length, alphabet or checksum.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKey> {
        let body = text.strip_prefix(PREFIX).ok_or(InvalidApiKey)?;
        if body.len() != SECRET_LENGTH + CHECKSUM_LENGTH || !body.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Err(InvalidApiKey);
        }
        let (secret, checksum) = body.split_at(SECRET_LENGTH);
        if base62(&crc32fast::hash(secret.as_bytes()).to_be_bytes(), CHECKSUM_LENGTH) == checksum {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidApiKey)
        }
    }

    /// The whole key. It is a secret: show it once, store its hash.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn last_four(&self) -> &str {
        &self.0[self.0.len() - 4..]
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gm_…{}", self.last_four())
    }
}

/// A big-endian number in base 62, padded to `length` digits.
fn base62(bytes: &[u8], length: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec![b'0'; length];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).expect("the remainder is below 62, so the quotient is below 256");
            remainder = value % 62;
        }
        *digit = ALPHABET[remainder as usize];
    }
    String::from_utf8(digits).expect("the alphabet is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_parses_and_a_changed_one_does_not() {
        let key = ApiKey::from_random([7; 32]);
        assert_eq!(ApiKey::parse(key.expose()), Ok(key.clone()));
        for position in 0..key.expose().len() {
            let mut changed = key.expose().to_owned().into_bytes();
            changed[position] = if changed[position] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(ApiKey::parse(&changed), Err(InvalidApiKey), "{changed}");
        }
    }

    #[test]
    fn keys_of_extreme_bits_have_full_length() {
        for random in [[0; 32], [255; 32]] {
            assert_eq!(ApiKey::from_random(random).expose().len(), 3 + 43 + 6);
        }
    }

    #[test]
    fn debug_hides_the_secret() {
        let key = ApiKey::from_random([9; 32]);
        assert_eq!(format!("{key:?}").len(), "gm_…".len() + 4);
    }
}
