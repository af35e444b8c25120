//! How often each request body has been delivered, in memory only.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;

/// More shards than threads, so that they rarely meet, and so that a growing table moves little at a time.
const SHARDS: usize = 64;

/// The first 16 bytes of a body's SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(u128);

/// Counts by the first 8 bytes of the digest: 16 bytes an entry, about 270 MB for 10 million bodies. Among
/// those, two share a key with a probability of 3 in a million.
pub(crate) struct Deliveries {
    shards: [Mutex<Shard>; SHARDS],
}

type Shard = HashMap<Key, Count, BuildHasherDefault<KeyHasher>>;

/// What is known of a body.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    deliveries: u32,
    /// Who bought an answer last: [`REAL_TIME`] or the number of a provider batch. 0 is nobody.
    buyer: u32,
}

/// The buyer of answers in real time.
pub(crate) const REAL_TIME: u64 = u32::MAX as u64;

/// Not a u64, whose alignment is of no use here.
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
        let mut shard = self.shard(digest);
        let count = shard.entry(digest.first()).or_default();
        count.deliveries = count.deliveries.saturating_add(1);
        count.deliveries
    }

    /// How often it has been delivered.
    pub fn seen(&self, digest: Digest) -> u32 {
        self.shard(digest).get(&digest.first()).map_or(0, |count| count.deliveries)
    }

    /// Notes who bought an answer, and says whether another had bought one before.
    pub fn buy(&self, digest: Digest, buyer: u64) -> bool {
        let buyer = u32::try_from(buyer).unwrap_or(u32::MAX);
        let mut shard = self.shard(digest);
        let count = shard.entry(digest.first()).or_default();
        let before = std::mem::replace(&mut count.buyer, buyer);
        before != 0 && before != buyer
    }

    /// Forgets all deliveries.
    pub fn clear(&self) {
        for shard in &self.shards {
            *shard.lock().unwrap_or_else(PoisonError::into_inner) = HashMap::default();
        }
    }

    fn shard(&self, digest: Digest) -> MutexGuard<'_, Shard> {
        self.shards[digest.shard()].lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!([one, Digest::of(b"three")].map(|body| deliveries.seen(body)), [3, 0]);
        deliveries.clear();
        assert_eq!(deliveries.count(one), 1);
    }

    #[test]
    fn digest_is_sha_256() {
        // The first half of the SHA-256 of `test`.
        assert_eq!(Digest::of(b"test").hex(), "9f86d081884c7d659a2feaa0c55ad015");
    }

    #[test]
    fn answer_bought_by_another_is_bought_again_once() {
        let (deliveries, body) = (Deliveries::new(), Digest::of(b"one"));
        let bought = [7, 7, REAL_TIME, 8, 8].map(|buyer| deliveries.buy(body, buyer));
        assert_eq!(bought, [false, false, true, true, false]);
        assert_eq!(deliveries.count(body), 1);
    }

    #[test]
    fn an_entry_takes_sixteen_bytes() {
        assert_eq!(size_of::<(Key, Count)>(), 16);
    }
}
