//! The steady rate of a limit by the minute, and how a worker keeps to its part of it.

use std::time::Duration;

/// What the way to the provider may take, at most: 250 ms, and 50 ms by which a worker's clock may be off the database's.
pub const PATH: Duration = Duration::from_millis(300);
/// How late a worker may send what it had a permit for.
pub const LATENESS: Duration = Duration::from_millis(250);
/// Seconds' worth of a limit that are kept while nobody wants them.
pub const LEVEL: Duration = Duration::from_millis(250);

/// The part of a limit that may be lost to the size of calls before workers hold rates one after the other.
const LOST_TO_SIZE: f64 = 0.01;

/// The rate a second at which no minute is over `limit`, with calls of `largest` in all workers together. See the module's page.
pub(super) fn steady(limit: f64, largest: f64) -> f64 {
    let seconds = 60.0 + PATH.as_secs_f64();
    let at_once = limit / 60.0 * (LEVEL + LATENESS).as_secs_f64();
    // Calls that are large beside their limit: half of it rather than nothing.
    ((limit - at_once - largest) / seconds).max(limit / 120.0)
}

/// Whether a worker with calls of `mine` may hold a rate beside others with `others`.
pub(super) fn may_join(limit: f64, others: f64, mine: f64) -> bool {
    others <= 0.0 || others + mine <= LOST_TO_SIZE * limit
}

/// The most that a worker of such a rate may send at once.
pub(super) fn most(rate: f64, largest: f64) -> f64 {
    (rate * LATENESS.as_secs_f64()).max(largest)
}

/// A worker's part of one resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// A second.
    pub rate: f64,
    /// What may be sent now; below 0 after a call that needed more than was thought.
    pub balance: f64,
    pub at: Duration,
    /// Could not be sent in time.
    pub lapsed: f64,
}

impl Pace {
    pub fn advance(&mut self, now: Duration, largest: f64) {
        let balance = self.balance + self.rate * now.saturating_sub(self.at).as_secs_f64();
        let most = most(self.rate, largest);
        self.lapsed += (balance - most).max(0.0);
        self.balance = balance.min(most);
        self.at = self.at.max(now);
    }

    /// How long until a call of `need` may be sent. `None`: not in this block.
    pub fn wait(&self, need: f64, largest: f64) -> Option<Duration> {
        let missing = need.min(most(self.rate, largest)) - self.balance;
        // Sums of many small amounts are off by less than this.
        if missing <= 1e-6 {
            return Some(Duration::ZERO);
        }
        Duration::try_from_secs_f64(missing / self.rate).ok()
    }
}
