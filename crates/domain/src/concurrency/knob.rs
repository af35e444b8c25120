//! One limit that is looked for.
//!
//! ```text
//!         it is refused: measure what is accepted              far above the plateau
//! Seek ──────────────────────────────────────────► Probe ─────────────────────────────► Seek
//!   │                                              ▲   │
//!   └── it does not pay, or back where it was ─────┘   └─ it is refused: a little lower
//! ```
//!
//! Within a second after a cut all workers know of it; the second after that is a trial: if more than 2 % is still refused, the limit is another
//! one, and what was accepted tells which.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a knob counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Requests a second.
    Rate,
    /// Calls in flight.
    Calls,
}

/// A knob's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Knob {
    value: f64,
    phase: Phase,
    /// What came of the time since the last cut.
    trial: Option<Trial>,
    /// What it was before the last cuts that followed closely on each other.
    before: f64,
    cut_at: Option<Duration>,
    cuts_in_vain: u32,
    held_up_at: Option<Duration>,
    slow: Option<Slow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
enum Phase {
    /// Far below the limit as far as is known: doubles every second, up to what it was before an outage if there is one.
    Seek { up_to: Option<f64>, round: Round },
    /// Near it: slowly up to the plateau, slowly beyond it, then faster. `age` is the time held up in seconds.
    Probe { plateau: f64, age: f64 },
}

/// As many calls as may be in flight: whether more of them got more done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Round {
    seconds: f64,
    done: f64,
    /// A second, in the round before, which had fewer in flight.
    before: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Trial {
    since: Duration,
    accepted: f64,
    refused: f64,
}

/// A ramp by the provider's rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Slow {
    since: Duration,
    from: f64,
}

/// A refusal near the plateau lowers it to this part.
const CUT: f64 = 0.97;
/// A refusal far from any plateau does.
const CUT_FAR: f64 = 0.85;
/// The least that a trial leaves of it.
const CUT_MOST: f64 = 0.25;
/// How fast it leaves the plateau: parts of it for a second, cubed. From 3 % below to it in 2.5 s, and to 25 % above it 5 s later.
const CURVE: f64 = 0.002;
/// So far above the plateau it is another one.
const FAR: f64 = 1.25;
/// How long until all workers know of a cut.
pub(super) const SETTLE: Duration = Duration::from_secs(1);
/// How long a trial takes then.
const TRIAL: Duration = Duration::from_secs(1);
/// Calls below which a trial shows nothing.
const FEWEST: f64 = 5.0;
/// The share of refusals above which a trial has failed.
const STILL: f64 = 0.02;
/// The share above which the cut before it was no use.
const IN_VAIN: f64 = 0.1;
/// How long it goes on growing after a worker was last held up.
const HELD_UP: Duration = Duration::from_millis(1_500);
/// Cuts follow closely on each other within this.
const CLOSELY: Duration = Duration::from_secs(10);
/// More calls in flight by half.
const STEP: f64 = 1.5;
/// The part of a step that must come out as throughput for it to pay.
const PAYS: f64 = 0.25;
/// The lowest value: one request in 5 s.
const LEAST: f64 = 0.2;
/// OpenAI's rule for a ramp: half more in 15 minutes.
const RAMP_S: f64 = 900.0;

impl Knob {
    pub fn new(value: f64) -> Self {
        Self {
            value,
            phase: Phase::Seek { up_to: None, round: Round::default() },
            trial: None,
            before: value,
            cut_at: None,
            cuts_in_vain: 0,
            held_up_at: None,
            slow: None,
        }
    }

    pub fn value(&self) -> f64 {
        self.value
    }

    /// Failed trials in a row.
    pub fn cuts_in_vain(&self) -> u32 {
        self.cuts_in_vain
    }

    pub fn cap(&mut self, most: f64) {
        self.value = self.value.min(most);
    }

    /// Counts what was accepted since it was last told.
    pub fn count(&mut self, now: Duration, accepted: f64, is_held_up: bool) {
        if is_held_up {
            self.held_up_at = Some(now);
        }
        if let Phase::Seek { round, .. } = &mut self.phase {
            round.done += accepted;
        }
    }

    /// Counts what was sent after the last cut towards the trial, once all workers know of the cut.
    pub fn try_on(&mut self, now: Duration, accepted: f64, refused: f64) {
        if let Some(trial) = self.trial.as_mut().filter(|trial| now.saturating_sub(trial.since) > SETTLE) {
            trial.accepted += accepted;
            trial.refused += refused;
        }
    }

    /// A call was refused that was sent after the last cut. Returns whether this cuts it: a trial that is under way decides by itself.
    pub fn refused(&mut self, now: Duration) -> bool {
        if self.trial.is_some() {
            return false;
        }
        if self.cut_at.is_none_or(|cut_at| now.saturating_sub(cut_at) > CLOSELY) {
            self.before = self.value;
        }
        let part = match self.phase {
            Phase::Seek { .. } => CUT_FAR,
            Phase::Probe { .. } => CUT,
        };
        self.cut(now, part * self.value, self.value);
        true
    }

    /// Ends a trial whose time is over. Returns whether it has failed and cuts again.
    pub fn try_out(&mut self, now: Duration) -> bool {
        let Some(trial) = self.trial else {
            return false;
        };
        let all = trial.accepted + trial.refused;
        if now.saturating_sub(trial.since) < SETTLE + TRIAL || all < FEWEST {
            return false;
        }
        self.trial = None;
        self.cuts_in_vain = if trial.refused > IN_VAIN * all { self.cuts_in_vain + 1 } else { 0 };
        if trial.refused < 2.0 || trial.refused <= STILL * all {
            return false;
        }
        let (found, least) = (self.value * trial.accepted / all, CUT_MOST * self.value);
        if found < least {
            // That was no measurement: from there up again.
            self.cut(now, least, least);
            self.phase = Phase::Seek { up_to: None, round: Round::default() };
        } else {
            self.cut(now, CUT * found, found);
        }
        true
    }

    fn cut(&mut self, now: Duration, value: f64, plateau: f64) {
        self.value = value.max(LEAST);
        self.phase = Phase::Probe { plateau: plateau.max(LEAST), age: age_at(self.value / plateau.max(LEAST)) };
        self.trial = Some(Trial { since: now, accepted: 0.0, refused: 0.0 });
        self.cut_at = Some(now);
    }

    fn is_in_use(&self, now: Duration) -> bool {
        self.held_up_at.is_some_and(|at| now.saturating_sub(at) <= HELD_UP)
    }

    /// Lets time pass in which workers were held up by it or not.
    pub fn grow(&mut self, now: Duration, seconds: f64, kind: Kind) {
        if self.trial.is_some() || !self.is_in_use(now) {
            return;
        }
        let seconds = seconds.min(1.0);
        match (&mut self.phase, kind) {
            (Phase::Probe { plateau, age }, _) => {
                *age += seconds;
                let part = 1.0 + CURVE * (*age).powi(3);
                self.value = self.value.max(*plateau * part);
                if part > FAR {
                    self.phase = Phase::Seek { up_to: None, round: Round::default() };
                }
            }
            (Phase::Seek { up_to: None, round }, Kind::Calls) => {
                round.seconds += seconds;
                if round.seconds < 1.0 || round.done < self.value {
                    return;
                }
                let done = round.done / round.seconds;
                if done < round.before * (1.0 + PAYS * (STEP - 1.0)) {
                    self.phase = Phase::Probe { plateau: self.value, age: REST };
                } else {
                    *round = Round { seconds: 0.0, done: 0.0, before: done };
                    self.value *= STEP;
                }
            }
            (Phase::Seek { up_to, .. }, _) => {
                self.value *= seconds.exp2();
                if let Some(up_to) = up_to.filter(|up_to| self.value >= *up_to) {
                    self.value = up_to;
                    self.phase = Phase::Probe { plateau: up_to, age: 0.0 };
                }
            }
        }
        self.keep_slow(now);
    }

    /// After an outage: from a quarter of what it was before it.
    pub fn resume(&mut self, now: Duration) {
        let up_to = self.before.max(self.value);
        self.value = self.value.max(up_to / 4.0);
        self.phase = Phase::Seek { up_to: Some(up_to), round: Round::default() };
        (self.trial, self.cuts_in_vain) = (None, 0);
        self.held_up_at = Some(now);
    }

    pub fn slow_down(&mut self, now: Duration) {
        let value = self.value / 2.0;
        self.cut(now, value, value);
        self.slow = Some(Slow { since: now, from: self.value });
    }

    fn keep_slow(&mut self, now: Duration) {
        if let Some(slow) = self.slow {
            let passed = now.saturating_sub(slow.since).as_secs_f64();
            self.value = self.value.min(slow.from * 1.5_f64.powf(passed / RAMP_S));
            // Four times as much: back where it was, and more.
            if passed > 4.0 * RAMP_S {
                self.slow = None;
            }
        }
    }
}

/// Where more calls in flight did not pay: 20 s before it is tried again.
const REST: f64 = -20.0;

/// Where on the curve around the plateau such a part of it is.
fn age_at(part: f64) -> f64 {
    ((part - 1.0) / CURVE).cbrt()
}
