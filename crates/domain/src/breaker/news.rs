//! What a worker saw of its calls, in a few counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Outcome;

/// Failures of calls sent after the last success was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) failures: u32,
    /// When the first of them failed.
    pub(super) since: Option<Duration>,
    /// When the last call that succeeded was sent.
    pub(super) ok_sent: Option<Duration>,
}

impl Run {
    /// A success ends the run only if it was sent after the run began: what was in flight when an outage began says nothing of now.
    pub(super) fn add(&mut self, later: &Self) {
        let is_over = match (self.since, later.ok_sent) {
            (Some(since), Some(sent)) => sent >= since,
            (None, _) => true,
            (Some(_), None) => false,
        };
        if is_over {
            (self.failures, self.since) = (later.failures, later.since);
        } else {
            self.failures += later.failures;
        }
        self.ok_sent = self.ok_sent.max(later.ok_sent);
    }
}

/// What a worker has to tell. Kept small: counts, not calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    pub(super) era: u64,
    pub(super) ok: u32,
    /// Without refusals: those are the limit's business, unless nothing else comes any more.
    pub(super) failed: u32,
    pub(super) run: Run,
}

impl News {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.ok == 0 && self.failed == 0 && self.run.failures == 0
    }

    pub(super) fn of(era: u64, now: Duration, sent_at: Duration, outcome: Outcome) -> Self {
        let failure = Run { failures: 1, since: Some(now), ok_sent: None };
        match outcome {
            Outcome::Ok => Self { era, ok: 1, failed: 0, run: Run { ok_sent: Some(sent_at), ..Run::default() } },
            Outcome::Refused => Self { era, ok: 0, failed: 0, run: failure },
            Outcome::Transient | Outcome::Timeout => Self { era, ok: 0, failed: 1, run: failure },
        }
    }

    /// Adds what was seen later.
    pub fn add(&mut self, later: &Self) {
        if self.era != later.era {
            *self = Self { era: later.era, ..Self::default() };
        }
        self.ok += later.ok;
        self.failed += later.failed;
        self.run.add(&later.run);
    }
}
