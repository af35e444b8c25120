//! Which way open rows go: a pure function of the records and of what has been learned. No caller ever chooses.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::provider::BatchLimits;

/// How rows travel to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    Batch,
    Realtime,
}

impl Route {
    /// As the database and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Realtime => "realtime",
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a model can do.
#[derive(Debug, Clone, Copy)]
pub struct Ways<'a> {
    /// None: there is no batch API, or none that may be used now.
    pub batch: Option<&'a BatchLimits>,
    pub realtime: bool,
}

/// What waits to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub rows: u64,
    /// What all these rows would save in provider batches. `None`: prices are not known.
    pub saving: Option<Money>,
    /// Until the job's deadline.
    pub time_left: Duration,
    /// Within which 95 of 100 provider batches of this model were done. `None`: nothing is known yet.
    pub p95: Option<Duration>,
}

/// Batch where it is worth it and in time, else real time where there is one, else batch.
pub fn choose(ways: Ways<'_>, open: Open) -> Route {
    match ways.batch {
        None => Route::Realtime,
        Some(_) if !ways.realtime => Route::Batch,
        Some(batch) if is_worth_it(batch, open) && is_in_time(batch, open) => Route::Batch,
        Some(_) => Route::Realtime,
    }
}

fn is_worth_it(batch: &BatchLimits, open: Open) -> bool {
    let saves = batch.min_saving() <= Money::ZERO || open.saving.is_none_or(|saving| saving >= batch.min_saving());
    open.rows >= batch.min_items() && saves
}

/// Before anything is known, the provider's own promise counts.
fn is_in_time(batch: &BatchLimits, open: Open) -> bool {
    open.p95.unwrap_or_else(|| batch.window()) <= open.time_left
}

/// How long rows may wait for more of their job before they go together.
pub const COMPANY: Duration = Duration::from_mins(10);

/// How long open rows that go by provider batch should still wait for company. `None`: they go now.
///
/// They go when a budget is full, when nothing more of their job can become open within [`COMPANY`], or after that wait.
pub fn wait_for_company(is_full: bool, may_open: bool, open_for: Duration) -> Option<Duration> {
    if is_full || !may_open { None } else { COMPANY.checked_sub(open_for).filter(|wait| !wait.is_zero()) }
}

/// The latency that `percent` of the samples do not exceed. `None` below `LEAST_SAMPLES`.
pub fn percentile(samples: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    if sorted.len() < LEAST_SAMPLES { None } else { sorted.get(rank - 1).copied() }
}

/// Fewer provider batches than this say nothing of the next.
pub const LEAST_SAMPLES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn open(rows: u64, saving: Option<&str>, hours_left: u32, p95_hours: Option<u32>) -> Open {
        Open {
            rows,
            saving: saving.map(|saving| saving.parse().expect("an amount")),
            time_left: HOUR * hours_left,
            p95: p95_hours.map(|hours| HOUR * hours),
        }
    }

    #[test]
    fn the_rule_as_a_table() {
        let limits = BatchLimits::default();
        let free = BatchLimits { min_saving_usd: Some(Money::ZERO), min_items: Some(2), ..BatchLimits::default() };
        let both = |batch| Ways { batch: Some(batch), realtime: true };
        let table = [
            // What the record has decides first.
            (Ways { batch: None, realtime: true }, open(1_000_000, Some("900"), 168, None), Route::Realtime),
            (Ways { batch: None, realtime: false }, open(1, None, 168, None), Route::Realtime),
            (Ways { batch: Some(&limits), realtime: false }, open(1, Some("0"), 0, Some(9)), Route::Batch),
            // Rows.
            (both(&limits), open(50, Some("0.50"), 168, None), Route::Batch),
            (both(&limits), open(49, Some("0.50"), 168, None), Route::Realtime),
            (both(&free), open(2, Some("0.01"), 168, None), Route::Batch),
            (both(&free), open(1, Some("900"), 168, None), Route::Realtime),
            // Saving.
            (both(&limits), open(50, Some("0.499999999999"), 168, None), Route::Realtime),
            (both(&limits), open(50, None, 168, None), Route::Batch),
            (both(&free), open(50, Some("0"), 168, None), Route::Batch),
            // Time.
            (both(&limits), open(50, Some("1"), 24, None), Route::Batch),
            (both(&limits), open(50, Some("1"), 23, None), Route::Realtime),
            (both(&limits), open(50, Some("1"), 3, Some(3)), Route::Batch),
            (both(&limits), open(50, Some("1"), 2, Some(3)), Route::Realtime),
            (both(&limits), open(50, Some("1"), 48, Some(49)), Route::Realtime),
        ];
        for (ways, open, route) in table {
            assert_eq!(choose(ways, open), route, "{ways:?} {open:?}");
        }
    }

    #[test]
    fn rows_wait_for_company_only_where_there_may_be_some() {
        let minutes = Duration::from_mins;
        assert_eq!(wait_for_company(true, true, minutes(0)), None);
        assert_eq!(wait_for_company(false, false, minutes(0)), None);
        assert_eq!(wait_for_company(false, true, minutes(4)), Some(minutes(6)));
        assert_eq!(wait_for_company(false, true, minutes(10)), None);
    }

    #[test]
    fn percentiles_are_of_what_was_seen() {
        let samples: Vec<_> = (1..=100).rev().map(Duration::from_secs).collect();
        assert_eq!(percentile(&samples, 95), Some(Duration::from_secs(95)));
        assert_eq!(percentile(&samples, 50), Some(Duration::from_secs(50)));
        assert_eq!(percentile(&samples[..LEAST_SAMPLES], 95), Some(Duration::from_secs(100)));
        assert_eq!(percentile(&samples[..LEAST_SAMPLES - 1], 95), None);
    }
}
