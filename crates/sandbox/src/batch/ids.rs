//! Identifiers that no other sandbox has given out, as a restarted one serves the same clients.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::fault::split_mix;

/// Gives out tokens.
pub(crate) struct Ids {
    /// Differs from sandbox to sandbox.
    epoch: u64,
    next: AtomicU64,
}

/// What a family makes an id of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// Counted from 1.
    pub number: u64,
    epoch: u64,
}

impl Ids {
    pub fn new(epoch: u64) -> Self {
        Self { epoch: split_mix(epoch), next: AtomicU64::new(1) }
    }

    pub fn next(&self) -> Token {
        Token { number: self.next.fetch_add(1, Ordering::Relaxed), epoch: self.epoch }
    }
}

impl Token {
    /// 24 hexadecimal digits.
    pub fn hex(self) -> String {
        format!("{:016x}{:08x}", self.epoch, self.number)
    }

    /// In the form of a UUID of version 4.
    pub fn uuid(self) -> String {
        let (high, low) = (self.epoch, split_mix(self.epoch ^ self.number));
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_within_a_sandbox_and_between_two() {
        let (one, two) = (Ids::new(1), Ids::new(2));
        let tokens = [one.next(), one.next(), two.next(), two.next()];
        let uuids: std::collections::HashSet<_> = tokens.iter().map(|token| token.uuid()).collect();
        let hex: std::collections::HashSet<_> = tokens.iter().map(|token| token.hex()).collect();
        assert_eq!((uuids.len(), hex.len()), (4, 4));
        assert!(uuids.iter().all(|uuid| uuid.len() == 36));
        assert!(hex.iter().all(|hex| hex.len() == 24));
    }
}
