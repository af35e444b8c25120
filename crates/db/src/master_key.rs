//! Encryption of secrets at rest.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};

/// The key that credentials are encrypted under.
pub struct MasterKey {
    key: RandomizedNonceKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    #[error("the master key must be 32 bytes in base64; make one with `head -c 32 /dev/urandom | base64`")]
    Malformed,
    #[error("the secret can't be decrypted: it was stored under another master key, or damaged")]
    Undecryptable,
}

/// Bytes of the nonce that stands before the ciphertext.
const NONCE_BYTES: usize = 12;

impl MasterKey {
    /// From 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self { key: RandomizedNonceKey::new(&AES_256_GCM, &bytes).expect("AES-256 takes 32 bytes") }
    }

    /// From 32 bytes in standard base64.
    ///
    /// # Errors
    /// [`MasterKeyError::Malformed`]
    pub fn from_base64(text: &str) -> Result<Self, MasterKeyError> {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or(MasterKeyError::Malformed)?;
        Ok(Self::new(bytes))
    }

    /// Nonce and ciphertext. `name` is bound to it: a secret copied to another name does not open.
    pub fn seal(&self, name: &str, secret: &[u8]) -> Vec<u8> {
        let mut sealed = secret.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut sealed)
            .expect("secrets are far shorter than the cipher's limit");
        [nonce.as_ref().as_slice(), &sealed].concat()
    }

    /// # Errors
    /// [`MasterKeyError::Undecryptable`]
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, MasterKeyError> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES).ok_or(MasterKeyError::Undecryptable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| MasterKeyError::Undecryptable)?;
        let mut secret = ciphertext.to_vec();
        let opened = self.key.open_in_place(nonce, Aad::from(name.as_bytes()), &mut secret);
        let length = opened.map_err(|_| MasterKeyError::Undecryptable)?.len();
        secret.truncate(length);
        Ok(secret)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_under_its_own_name_and_key_only() {
        let key = MasterKey::new([1; 32]);
        let sealed = key.seal("main", b"secret");
        assert_eq!(key.open("main", &sealed).as_deref(), Ok(&b"secret"[..]));
        assert_eq!(key.open("other", &sealed), Err(MasterKeyError::Undecryptable));
        assert_eq!(MasterKey::new([2; 32]).open("main", &sealed), Err(MasterKeyError::Undecryptable));
        assert_eq!(key.open("main", b""), Err(MasterKeyError::Undecryptable));
    }

    #[test]
    fn a_key_that_is_no_32_bytes_is_refused() {
        assert!(MasterKey::from_base64("AAAA").is_err());
        assert!(MasterKey::from_base64("not base64").is_err());
    }
}
