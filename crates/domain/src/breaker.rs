//! Circuit breaker of one limit group: an outage costs a few calls, and no row an attempt beyond the one in flight when it began.
//!
//! ```text
//!          too many failures             `until` is reached
//! Closed ───────────────────► Open ───────────────────────► HalfOpen
//!    ▲                         ▲                             │    │
//!    │                         └───── a probe fails ─────────┘    │
//!    └────────────────────── enough probes succeed ───────────────┘
//! ```
//!
//! The value in the database is the truth. Each worker holds a copy that it [notes](Breaker::note) its calls in, so that it stops at once,
//! and collects [`News`] that it [applies](Breaker::apply) to the truth at least once a second; then it replaces its copy. Probes are
//! taken from and reported to the truth alone, so that all workers together send few. Times are since one start for all workers, such as
//! the epoch by the database's clock.
//!
//! What an outage costs: the calls in flight when it begins, fewer than [`RUN`] more of each worker before it knows (plus as many as it
//! has in flight at that moment), and the probes: in 5 minutes at most 80.

mod news;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::news::News;
use self::news::Run;

/// Failures in a row, of calls sent one after the other without a success in between, that open the breaker.
pub const RUN: u32 = 20;
/// Failures in a row from which on further ones are spared, though the breaker is closed still. Fewer may be the rows' own.
const DOUBTFUL: u32 = 5;
/// Seconds that the window of shares spans.
const WINDOW_S: u64 = 10;
/// Failures in the window below which no share opens the breaker.
const FEWEST: u32 = 20;
/// So many failures for each success in the window are an outage. With fewer, what fails may be the rows, and backoff bounds the rest.
const SHARE: u32 = 4;
/// Probes that must succeed before all may send again.
const PROBES: u32 = 3;
/// The first wait for a probe; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait for a probe: with the probes' own latency and a limit that grows back, full speed is there 10 s after the end.
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// A breaker that opens again so soon after it closed goes on with the waits where it was.
const RELAPSE: Duration = Duration::from_secs(30);

/// How a call ended, as far as it tells about the provider. An answer that fails its row alone (permanent, refused by a filter, invalid)
/// is [`Outcome::Ok`]; what no call can mend (a key-level failure) is not told at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// The provider asked for patience: 429, 503, 529.
    Refused,
    /// Another 5xx, a reset, an unreadable reply.
    Transient,
    Timeout,
}

/// Whether a failed attempt counts against its row's `max_attempts`, where its class does.
///
/// A row whose own fault it is that the provider fails would never end while nothing else is sent: the caller counts nevertheless from
/// a row's [`MOST_SPARED`]th uncounted attempt on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Counts,
    /// It was sent when calls were failing already.
    Spared,
}

/// Attempts that a row is spared at most.
pub const MOST_SPARED: u32 = 10;

/// What a worker may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Send,
    /// Nothing before this time; then look again.
    Wait {
        until: Duration,
    },
    /// One call may be due: [`Breaker::take_probe`] on the truth decides.
    ProbeDue,
}

/// The right to send one call while the breaker is not closed. Its failure never counts for its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    era: u64,
}

/// The breaker's state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Breaker {
    /// Grows with each change of state; news of an earlier one is out of date.
    era: u64,
    state: State,
    /// When calls were last failing one and all: from the first failure to the end.
    doubt: Option<Doubt>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum State {
    /// Everybody sends. [`Breaker::apply`] opens it.
    Closed { since: Duration, trips: u32, window: Vec<Slice>, run: Run },
    /// Nobody sends. [`Breaker::take_probe`] moves it on.
    Open { until: Duration, trips: u32 },
    /// Few try. [`Breaker::probed`] closes it or opens it again; a probe without a reply does not hold up the next.
    HalfOpen { trips: u32, succeeded: u32, at_once: u32, next: Duration },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { since: Duration::ZERO, trips: 0, window: Vec::new(), run: Run::default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Doubt {
    from: Duration,
    /// `None`: it goes on.
    to: Option<Duration>,
}

/// Calls that ended in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Slice {
    second: u64,
    ok: u32,
    failed: u32,
}

impl Breaker {
    /// Notes the end of an ordinary call in a worker's copy and in its news; probes go to [`Breaker::probed`].
    pub fn note(&mut self, now: Duration, sent_at: Duration, outcome: Outcome, news: &mut News) -> Verdict {
        let is_current = match &self.state {
            State::Closed { since, .. } => sent_at >= *since,
            State::Open { .. } | State::HalfOpen { .. } => false,
        };
        if is_current {
            let one = News::of(self.era, now, sent_at, outcome);
            news.add(&one);
            self.apply(now, &one);
        }
        self.verdict(sent_at)
    }

    /// Whether a failure of an ordinary call sent then counts.
    pub fn verdict(&self, sent_at: Duration) -> Verdict {
        let from = match &self.state {
            State::Closed { since, run, .. } => run.since.filter(|_| run.failures >= DOUBTFUL && sent_at >= *since),
            State::Open { .. } | State::HalfOpen { .. } => None,
        };
        let is_in_run = from.is_some_and(|from| sent_at >= from);
        let is_in_doubt =
            self.doubt.is_some_and(|doubt| sent_at >= doubt.from && doubt.to.is_none_or(|to| sent_at < to));
        if is_in_run || is_in_doubt { Verdict::Spared } else { Verdict::Counts }
    }

    /// Adds a worker's news. Returns whether the breaker has opened by it.
    pub fn apply(&mut self, now: Duration, news: &News) -> bool {
        if news.era != self.era {
            return false;
        }
        match &mut self.state {
            State::Closed { since, trips, window, run } => {
                let second = now.as_secs();
                window.retain(|slice| slice.second + WINDOW_S > second);
                match window.iter_mut().find(|slice| slice.second == second) {
                    Some(slice) => {
                        slice.ok += news.ok;
                        slice.failed += news.failed;
                    }
                    None => window.push(Slice { second, ok: news.ok, failed: news.failed }),
                }
                run.add(&news.run);
                let (ok, failed) = window.iter().fold((0, 0), |sum, slice| (sum.0 + slice.ok, sum.1 + slice.failed));
                if run.failures < RUN && (failed < FEWEST || failed < SHARE * ok) {
                    return false;
                }
                let is_relapse = now.saturating_sub(*since) < RELAPSE && *trips > 0;
                let trips = if is_relapse { *trips + 1 } else { 1 };
                self.doubt = Some(Doubt { from: run.since.unwrap_or(now), to: None });
                self.enter(State::Open { until: now + wait(trips), trips });
                true
            }
            State::Open { .. } | State::HalfOpen { .. } => false,
        }
    }

    /// What may be sent now. Reads only.
    pub fn gate(&self, now: Duration) -> Gate {
        match &self.state {
            State::Closed { .. } => Gate::Send,
            State::Open { until, .. } if now < *until => Gate::Wait { until: *until },
            State::Open { .. } => Gate::ProbeDue,
            State::HalfOpen { at_once, next, .. } if *at_once == 0 && now < *next => Gate::Wait { until: *next },
            State::HalfOpen { .. } => Gate::ProbeDue,
        }
    }

    /// Takes the right to send one probe, if one is due. On the truth only.
    pub fn take_probe(&mut self, now: Duration) -> Option<Probe> {
        match &mut self.state {
            State::Closed { .. } => return None,
            State::Open { until, trips } => {
                if now < *until {
                    return None;
                }
                let next = now + wait(*trips);
                let state = State::HalfOpen { trips: *trips, succeeded: 0, at_once: 0, next };
                self.enter(state);
            }
            State::HalfOpen { at_once, next, trips, .. } => {
                if *at_once > 0 {
                    *at_once -= 1;
                } else if now >= *next {
                    *next = now + wait(*trips + 1);
                    *trips += 1;
                } else {
                    return None;
                }
            }
        }
        Some(Probe { era: self.era })
    }

    /// Tells how a probe ended. On the truth only. Returns how long the outage lasted if it is over by this.
    pub fn probed(&mut self, now: Duration, probe: Probe, outcome: Outcome) -> Option<Duration> {
        if probe.era != self.era {
            return None;
        }
        let State::HalfOpen { trips, succeeded, at_once, .. } = &mut self.state else {
            return None;
        };
        let trips = *trips;
        match outcome {
            Outcome::Ok if *succeeded + 1 >= PROBES => {
                let doubt = self.doubt.as_mut()?;
                doubt.to = Some(now);
                let lasted = now.saturating_sub(doubt.from);
                self.enter(State::Closed { since: now, trips, window: Vec::new(), run: Run::default() });
                return Some(lasted);
            }
            Outcome::Ok => {
                if *succeeded == 0 {
                    *at_once = PROBES - 1;
                }
                *succeeded += 1;
            }
            Outcome::Refused | Outcome::Transient | Outcome::Timeout => {
                let trips = trips.saturating_add(1);
                self.enter(State::Open { until: now + wait(trips), trips });
            }
        }
        None
    }

    /// Whether everybody may send, for whoever shows the state.
    pub fn is_closed(&self) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { .. } | State::HalfOpen { .. } => false,
        }
    }

    fn enter(&mut self, state: State) {
        self.era += 1;
        self.state = state;
    }
}

/// How long to wait for a probe after so many failed ones.
fn wait(trips: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << trips.saturating_sub(1).min(10)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests;
