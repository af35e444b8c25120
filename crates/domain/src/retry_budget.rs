//! How many retries a limit group may send: a share of its calls and a floor, so that a bad hour does not multiply the load.
//!
//! In any time `t`: retries ≤ 10 % of the first attempts in it + what was saved (at most twice the floor) + the floor for every minute
//! of `t`. Only retries of transient failures are drawn from it: what a provider refuses with a request for patience is
//! held by the limits, and what is sent while the breaker is not closed are its probes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Retries that each first attempt allows.
const SHARE: f64 = 0.1;
/// Retries in a minute that are left to a group of whatever rate: five a second are no load for anybody, and a small job whose rows fail for
/// reasons of their own ends in time.
const LEAST_FLOOR: f64 = 300.0;
/// The floor comes back evenly in this time.
const RETURN_S: f64 = 60.0;

/// The budget's state: one small value per limit group, the truth of it in the database. A worker draws from its copy at once and
/// [applies](RetryBudget::apply) what it drew to the truth at least once a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RetryBudget {
    /// What is left, or less than nothing where several workers drew the last at once.
    left: f64,
    at: Duration,
    /// Whether anything was ever noted; a new budget is a full one.
    begun: bool,
}

/// What a worker sent since it last told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Rows' first attempts.
    pub first: u32,
    /// Retries of transient failures.
    pub retries: u32,
}

/// Retries always allowed in a minute: a second's worth of the group's calls, at least 300.
pub fn floor(calls_per_second: f64) -> f64 {
    if calls_per_second.is_finite() { calls_per_second.max(LEAST_FLOOR) } else { LEAST_FLOOR }
}

impl RetryBudget {
    /// Notes what was sent until `now`, for a group that makes so many calls a second.
    pub fn apply(&mut self, now: Duration, calls_per_second: f64, sent: Sent) {
        let left = self.left_at(now, calls_per_second);
        let most = 2.0 * floor(calls_per_second);
        self.left = (left + SHARE * f64::from(sent.first)).min(most) - f64::from(sent.retries);
        self.at = self.at.max(now);
        self.begun = true;
    }

    /// Whether one more retry may be sent now.
    pub fn allows(&self, now: Duration, calls_per_second: f64) -> bool {
        self.left_at(now, calls_per_second) >= 1.0
    }

    fn left_at(&self, now: Duration, calls_per_second: f64) -> f64 {
        let floor = floor(calls_per_second);
        if !self.begun {
            return floor;
        }
        let back = now.saturating_sub(self.at).as_secs_f64() * floor / RETURN_S;
        // Time alone fills it up to the floor; only calls save more.
        self.left.max((self.left + back).min(floor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Sent = Sent { first: 1, retries: 0 };
    const RETRY: Sent = Sent { first: 0, retries: 1 };

    /// First attempts and retries in so many seconds, where the share `failing` of all calls fails and is sent again if allowed.
    fn run(seconds: u32, calls_per_second: u32, failing: f64) -> (u32, u32) {
        let (mut budget, mut first, mut retries, mut owed) = (RetryBudget::default(), 0, 0, 0.0);
        for call in 0..seconds * calls_per_second {
            let now = Duration::from_secs_f64(f64::from(call) / f64::from(calls_per_second));
            let retry = owed >= 1.0 && budget.allows(now, f64::from(calls_per_second));
            budget.apply(now, f64::from(calls_per_second), if retry { RETRY } else { FIRST });
            if retry {
                retries += 1;
                owed -= 1.0;
            } else {
                first += 1;
            }
            owed += failing;
        }
        (first, retries)
    }

    #[test]
    fn g12_retries_are_bounded_whatever_fails() {
        for (seconds, rate, failing) in [(300, 1000, 1.0), (300, 10, 1.0), (60, 1000, 0.5), (300, 1000, 0.05)] {
            let (first, retries) = run(seconds, rate, failing);
            let floor = floor(f64::from(rate));
            let bound = SHARE * f64::from(first) + floor * (1.0 + f64::from(seconds) / RETURN_S);
            assert!(f64::from(retries) <= bound + 1.0, "{retries} of {first}, bound {bound}");
        }
    }

    #[test]
    fn few_failures_are_all_sent_again() {
        let (first, retries) = run(100, 100, 0.05);
        let share = f64::from(retries) / f64::from(first + retries);
        assert!((share - 0.05).abs() < 0.002, "{share}");
    }

    #[test]
    fn a_floor_is_left_to_a_quiet_group_and_comes_back_within_a_minute() {
        let at = Duration::from_secs_f64;
        let mut budget = RetryBudget::default();
        for _ in 0..300 {
            assert!(budget.allows(at(5.0), 0.1));
            budget.apply(at(5.0), 0.1, RETRY);
        }
        let allowed = [5.0, 5.1, 5.2, 65.0].map(|second| budget.allows(at(second), 0.1));
        assert_eq!(allowed, [false, false, true, true]);
    }

    #[test]
    fn what_is_saved_is_bounded() {
        let mut budget = RetryBudget::default();
        budget.apply(Duration::ZERO, 50.0, Sent { first: 1_000_000, retries: 0 });
        budget.apply(Duration::ZERO, 50.0, Sent { first: 0, retries: 600 });
        assert!(!budget.allows(Duration::ZERO, 50.0));
    }
}
