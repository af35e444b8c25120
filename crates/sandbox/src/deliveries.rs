//! How often each request body has been delivered, in memory only.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest;

/// More shards than threads, so that they rarely meet, and so that a growing table moves little at a time.
const SHARDS: usize = 64;

/// The first 16 bytes of a body's SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(u128);

/// Counts by the first 8 bytes of the digest: 12 bytes an entry, about 200 MB for 10 million bodies. Among
/// those, two share a key with a probability of 3 in a million.
pub(crate) struct Deliveries {
    shards: [Mutex<HashMap<Key, u32, BuildHasherDefault<KeyHasher>>>; SHARDS],
}

/// Not a u64, whose alignment would widen the entry to 16 bytes.
type Key = [u8; 8];

/// The key is a piece of a digest already, so it needs no hashing.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    // All keys have the same length, so it tells nothing.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Digest {
    pub fn of(body: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, body);
        let prefix = hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
        Self(u128::from_be_bytes(*prefix))
    }

    pub fn hex(self) -> String {
        format!("{:032x}", self.0)
    }

    pub fn first(self) -> Key {
        let bytes = self.0.to_be_bytes();
        *bytes.first_chunk().expect("a u128 has 16 bytes")
    }

    /// From the last byte, which is no part of the key.
    fn shard(self) -> usize {
        let [.., last] = self.0.to_be_bytes();
        usize::from(last) % SHARDS
    }
}

impl Deliveries {
    pub fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Counts one delivery of this body and says how manieth it is, from 1.
    pub fn count(&self, digest: Digest) -> u32 {
        let shard = &self.shards[digest.shard()];
        let mut counts = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(digest.first()).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    /// Forgets all deliveries.
    pub fn clear(&self) {
        for shard in &self.shards {
            *shard.lock().unwrap_or_else(PoisonError::into_inner) = HashMap::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_body_has_its_own_count() {
        let deliveries = Deliveries::new();
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        assert_eq!([one, two, one, one].map(|body| deliveries.count(body)), [1, 1, 2, 3]);
        deliveries.clear();
        assert_eq!(deliveries.count(one), 1);
    }

    #[test]
    fn digest_is_sha_256() {
        // The first half of the SHA-256 of `test`.
        assert_eq!(Digest::of(b"test").hex(), "9f86d081884c7d659a2feaa0c55ad015");
    }

    #[test]
    fn an_entry_takes_twelve_bytes() {
        assert_eq!(size_of::<(Key, u32)>(), 12);
    }
}
