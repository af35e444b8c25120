//! How long to wait before the next attempt.

use std::time::Duration;

/// Longest wait that a provider may ask for; longer ones are cut to it.
pub const MAX_RETRY_AFTER: Duration = Duration::from_mins(15);

/// Exponential backoff with full jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Upper bound of the first wait.
    pub base: Duration,
    /// Upper bound of all waits.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), cap: Duration::from_mins(1) }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row (from 1), for a random `unit` in 0..1. What the provider asked for is a
    /// lower bound: the jitter comes on top, so that rows told the same time don't come back together.
    pub fn wait(&self, failures: u32, unit: f64, asked: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let bound = self.base.saturating_mul(1 << doublings).min(self.cap);
        let jitter = bound.mul_f64(unit.clamp(0.0, 1.0));
        match asked {
            Some(asked) => asked.min(MAX_RETRY_AFTER) + jitter.min(self.base),
            None => jitter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff::default();
        let longest: Vec<u64> = (1..=8).map(|failures| backoff.wait(failures, 1.0, None).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.wait(u32::MAX, 1.0, None).as_secs(), 60);
    }

    #[test]
    fn the_provider_s_wish_is_a_lower_bound_and_clamped() {
        let backoff = Backoff::default();
        assert_eq!(backoff.wait(5, 0.0, Some(Duration::from_secs(7))).as_secs(), 7);
        assert_eq!(backoff.wait(1, 0.0, Some(Duration::from_secs(u64::MAX))), MAX_RETRY_AFTER);
    }
}
