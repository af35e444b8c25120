//! A shared limit's arithmetic: workers take rates for some seconds from one small value in the database, and pace themselves.
//!
//! A block of permits here is not a heap to be used at will: where in its time a heap is used is not known, and so one second of it would
//! cost one second of sixty. It is a *rate for a span of time*. All rates that are held and what flows into the common level
//! together are one steady rate, so that it doesn't matter how long a block is, and one trip to the database per worker and
//! 3 seconds is enough: with 4 workers 12 for 1,000 calls at 6,000 a minute, 1.2 at 60,000.
//!
//! **Why no minute is ever over its limit.** What is counted in any 60 s at the provider was sent in at most 60 s + [`PATH`], as the way there takes
//! between nothing and that. In a time `t` can be sent: what flows in, steady × `t`; the level when it begins, at
//! most [`LEVEL`] × limit / 60; and what workers have not sent in time, each at most its rate × [`LATENESS`] or one call, the
//! larger. So with `n` workers whose largest calls need `c` each
//!
//! ```text
//! steady × (60 + PATH) + limit / 60 × (LEVEL + LATENESS) + n × c  =  limit
//! ```
//!
//! which leaves 98.6 % of 6,000 requests a minute, and 98.0 % of 600 to 4 workers. Where `n × c` would be above 1 % of the limit, workers hold
//! rates one after the other instead of side by side.
//!
//! Tokens are reserved by estimate and [settled](Lease::settle) by their true number: an error is made up for by the same worker as soon as it is known,
//! so it shifts use by the time that a call takes, and never adds up. Output tokens are aimed at with 2 % less. That is no
//! guarantee: at 500 answers a minute whose lengths vary by 95 %, the worst minute of seven simulations of five minutes was 1.2 % over the limit,
//! in the other six at most 0.7 %; from 1,000 answers a minute on none was over.
//!
//! A worker that dies has its rates until its block ends ([`SPAN`]); then they flow to the others.

mod day;
mod lease;
mod limits;
mod pace;
mod share;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::day::Day;
pub use self::lease::{Lease, NotNow};
pub use self::limits::{Amounts, Limits, Resource};
pub use self::pace::{LATENESS, LEVEL, PATH};
use self::share::Turn;
use crate::ids::WorkerId;

/// How long a worker's block lasts.
pub const SPAN: Duration = Duration::from_secs(4);
/// When in its block a worker should ask for the next, so that a slow database does not stop it.
pub const RENEW: Duration = Duration::from_secs(3);
/// When a worker asks again that got less than half of its part, because others hold it still.
const SOON: Duration = Duration::from_secs(1);

/// What a worker wants for the next [`SPAN`], and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    pub worker: WorkerId,
    /// What it could use in a [`SPAN`]; infinite where it has more rows than it can count.
    pub wants: Amounts,
    /// What its largest call of late needs.
    pub largest: Amounts,
    /// What it has and can use at once, or owes. See [`Lease::ask`].
    pub balances: Amounts,
    /// What it could not use in time.
    pub lapsed: Amounts,
    pub calls_wanted: u32,
    pub calls_in_flight: u32,
    /// Left of its requests of the day.
    pub day_left: u64,
}

/// What a worker got.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grant {
    pub from: Duration,
    pub until: Duration,
    /// When to ask again.
    pub renew_at: Duration,
    /// A second. `None`: not limited.
    pub rates: [Option<f64>; 3],
    /// At once, on top of its balance.
    pub given: Amounts,
    /// Calls in flight. `None`: not limited.
    pub calls: Option<u32>,
    /// Requests of the day, on top of what it has left. `None`: not limited.
    pub day: Option<u64>,
}

/// A limit group's state; empty at first. For the group's row in the database, which must be locked from reading to writing it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Permits {
    /// What nobody holds and was not used: at most [`LEVEL`] seconds' worth; below 0 where too much is held.
    levels: Amounts,
    at: Duration,
    holds: Vec<Hold>,
    day: Day,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Hold {
    worker: WorkerId,
    until: Duration,
    rates: Amounts,
    /// A second.
    wants: Amounts,
    largest: Amounts,
    calls: u32,
    calls_wanted: u32,
    /// There was not room for its large calls beside the others'.
    waits: bool,
}

/// What no worker can use, and what JSON can hold.
const PLENTY: f64 = 1e12;

impl Hold {
    fn new(now: Duration, ask: &Ask) -> Self {
        Self {
            worker: ask.worker,
            until: now + SPAN,
            rates: [0.0; 3],
            wants: ask.wants.map(|want| want.clamp(0.0, PLENTY) / SPAN.as_secs_f64()),
            largest: ask.largest.map(|largest| largest.clamp(0.0, PLENTY)),
            calls: 0,
            calls_wanted: ask.calls_wanted,
            waits: false,
        }
    }
}

impl Permits {
    /// When it was changed last.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// Takes a block in place of the one that the worker has.
    pub fn take(&mut self, limits: &Limits, now: Duration, ask: &Ask) -> Grant {
        self.accrue(limits, now);
        let before = self.holds.iter().position(|hold| hold.worker == ask.worker).map(|at| self.holds.swap_remove(at));
        self.put_back(limits, &ask.lapsed);
        let mut hold = Hold::new(now, ask);
        hold.calls =
            self.calls(limits, &hold, ask.calls_in_flight.min(before.as_ref().map_or(0, |before| before.calls)));
        let mut grant = Grant {
            from: now,
            until: hold.until,
            renew_at: now + RENEW,
            rates: [None; 3],
            given: [0.0; 3],
            calls: limits.calls.map(|_| hold.calls),
            day: None,
        };
        match (self.turn(limits, &hold), before) {
            (Turn::Mine, _) => self.grant_rates(limits, &mut hold, ask, &mut grant),
            (Turn::GiveWay, Some(before)) if before.waits => self.grant_rates(limits, &mut hold, ask, &mut grant),
            (Turn::Wait, _) | (Turn::GiveWay, None) => {
                hold.waits = true;
                grant.until = self.active().map(|other| other.until).min().unwrap_or(now + SOON);
                grant.renew_at = grant.until;
                hold.until = hold.until.max(grant.until + SOON);
            }
            // What it has, to its end, when those who wait ask again.
            (Turn::GiveWay, Some(before)) => {
                (hold.rates, hold.until) = (before.rates, before.until);
                (grant.until, grant.renew_at) = (before.until, before.until);
            }
        }
        for index in 0..3 {
            grant.rates[index] = limits.of_minute(index).map(|_| hold.rates[index]);
        }
        let today = wanted_today(&hold).saturating_sub(ask.day_left);
        grant.day = limits.requests_per_day.map(|limit| self.day.take(limit, now, today.min(limit / 20 + 1)));
        self.holds.push(hold);
        grant
    }

    fn grant_rates(&mut self, limits: &Limits, hold: &mut Hold, ask: &Ask, grant: &mut Grant) {
        for index in 0..3 {
            let Some(limit) = limits.of_minute(index) else {
                continue;
            };
            let (all, part) = self.part(limits, index, limit, hold);
            let taken: f64 = self.active().map(|other| other.rates[index]).sum();
            // What is missing is made up for within a block.
            let free = all - taken + self.levels[index].min(0.0) / SPAN.as_secs_f64();
            hold.rates[index] = hold.wants[index].min(part).min(free).max(0.0);
            let room = pace::most(hold.rates[index], hold.largest[index]) - ask.balances[index];
            grant.given[index] = self.levels[index].min(room).max(0.0);
            self.levels[index] -= grant.given[index];
            if hold.rates[index] < hold.wants[index].min(part) / 2.0 {
                grant.renew_at = grant.from + SOON;
            }
        }
    }

    /// The worker needs no permits now.
    pub fn give_back(&mut self, limits: &Limits, now: Duration, ask: &Ask) {
        self.accrue(limits, now);
        self.holds.retain(|hold| hold.worker != ask.worker);
        self.put_back(limits, &ask.lapsed);
        self.put_back(limits, &ask.balances);
        self.day.put_back(ask.day_left);
    }

    /// What a provider's header says is left now. Only ever less than was thought: somebody else may use the same key.
    ///
    /// With less left than [`LEVEL`] seconds' worth, the next blocks are smaller by what is missing. `reset` is not looked at: it
    /// is the time to the full refill with some providers, and to the next window with others.
    pub fn correct(&mut self, limits: &Limits, now: Duration, resource: Resource, remaining: f64) {
        self.accrue(limits, now);
        let index = resource.index();
        if let Some(limit) = limits.per_minute[index] {
            let second = limit / 60.0;
            let left = remaining.max(0.0) - LEVEL.as_secs_f64() * second;
            self.levels[index] = self.levels[index].min(left);
        }
    }

    /// How much of the limit is held by workers now, from 0 to 1, for whoever shows it. `None`: not limited.
    pub fn held(&self, limits: &Limits, now: Duration, resource: Resource) -> Option<f64> {
        let index = resource.index();
        let holds = self.holds.iter().filter(|hold| hold.until > now);
        let rates: f64 = holds.map(|hold| hold.rates[index]).sum();
        limits.per_minute[index].map(|limit| (60.0 * rates / limit.max(1.0)).min(1.0))
    }

    /// Lets time pass: what nobody held flows into the levels, and blocks end.
    fn accrue(&mut self, limits: &Limits, now: Duration) {
        let is_new = self.at == Duration::ZERO && self.holds.is_empty();
        let from = if is_new { now.saturating_sub(LEVEL) } else { self.at };
        for index in 0..3 {
            let Some(limit) = limits.of_minute(index) else {
                continue;
            };
            let flows = self.steady(limits, index, limit, 0.0) * now.saturating_sub(from).as_secs_f64();
            let held = |hold: &Hold| hold.rates[index] * now.min(hold.until).saturating_sub(from).as_secs_f64();
            let taken: f64 = self.holds.iter().map(held).sum();
            self.levels[index] = (self.levels[index] + flows - taken).clamp(-limit, full(limit));
        }
        self.at = self.at.max(now);
        self.holds.retain(|hold| hold.until > now);
    }

    fn put_back(&mut self, limits: &Limits, amounts: &Amounts) {
        for (index, (level, amount)) in self.levels.iter_mut().zip(amounts).enumerate() {
            if let Some(limit) = limits.of_minute(index) {
                *level = (*level + amount.max(0.0)).min(full(limit));
            }
        }
    }
}

/// The highest level: [`LEVEL`] seconds' worth of a limit by the minute.
fn full(limit: f64) -> f64 {
    limit / 60.0 * LEVEL.as_secs_f64()
}

/// Requests that a worker can send in a block.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative, and saturates")]
fn wanted_today(hold: &Hold) -> u64 {
    let requests = Resource::Requests.index();
    let rate = if hold.rates[requests] > 0.0 { hold.rates[requests] } else { hold.wants[requests] };
    (rate * SPAN.as_secs_f64()).ceil() as u64
}

#[cfg(test)]
mod tests;
