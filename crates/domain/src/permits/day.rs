//! Requests a day: counted, not paced, so that a day's worth may be used whenever there is work.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The count is kept by half hours, and each is forgotten when all of it is a day old.
const SLICE: Duration = Duration::from_mins(30);
/// Slices that any day touches.
const SLICES: u64 = 49;

/// Requests given out, by the half hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Day {
    slices: Vec<(u64, u64)>,
}

impl Day {
    /// Gives out up to `want`, so that in no 24 hours more than `limit` are. What a dead worker had counts as used.
    pub fn take(&mut self, limit: u64, now: Duration, want: u64) -> u64 {
        let slice = now.as_secs() / SLICE.as_secs();
        self.slices.retain(|(at, _)| at + SLICES > slice);
        let used: u64 = self.slices.iter().map(|(_, used)| used).sum();
        let granted = want.min(limit.saturating_sub(used));
        match self.slices.iter_mut().find(|(at, _)| *at == slice) {
            Some((_, used)) => *used += granted,
            None => self.slices.push((slice, granted)),
        }
        granted
    }

    /// Takes back what was not used of what was given out last.
    pub fn put_back(&mut self, unused: u64) {
        if let Some((_, used)) = self.slices.last_mut() {
            *used = used.saturating_sub(unused);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_day_is_over_its_limit_and_all_of_it_is_used_at_once_if_wanted() {
        let hour = Duration::from_hours(1);
        let mut day = Day::default();
        assert_eq!(day.take(1_000, hour, 900), 900);
        assert_eq!(day.take(1_000, hour * 10, 900), 100);
        assert_eq!(day.take(1_000, hour * 24, 900), 0);
        day.put_back(50);
        assert_eq!(
            day.take(1_000, hour * 25 + SLICE, 2_000),
            900,
            "the first are older than a day, and 50 were not used"
        );
    }
}
