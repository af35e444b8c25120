//! A worker's side: its block of permits, and what it may send now.

use std::time::Duration;

use super::pace::Pace;
use super::{Amounts, Ask, Grant, Resource};
use crate::ids::WorkerId;

/// How long the size of a large call is remembered.
const REMEMBERED: Duration = Duration::from_mins(1);

/// What a worker holds of a limit group.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    worker: WorkerId,
    renew_at: Duration,
    until: Duration,
    paces: [Option<Pace>; 3],
    largest: Amounts,
    largest_at: [Duration; 3],
    calls: Option<u32>,
    day: Option<u64>,
}

/// Why a call may not be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotNow {
    /// The minute's limit: not before this time.
    Until(Duration),
    /// Enough calls are in flight.
    Calls,
    /// The day's requests are used up.
    Day,
    /// Not in this block: the next is needed, at [`Lease::renew_at`].
    Renew,
}

impl Lease {
    /// Nothing yet.
    pub fn new(worker: WorkerId) -> Self {
        Self {
            worker,
            renew_at: Duration::ZERO,
            until: Duration::ZERO,
            paces: [None; 3],
            largest: [1.0, 0.0, 0.0],
            largest_at: [Duration::ZERO; 3],
            calls: None,
            day: None,
        }
    }

    /// When the next block should be asked for.
    pub fn renew_at(&self) -> Duration {
        self.renew_at
    }

    /// What to ask for, with `wants` usable in a [`super::SPAN`], and calls wanted and in flight. Nothing may be sent between the asking and the
    /// answer beyond what [`Lease::try_send`] allows; it may go on.
    pub fn ask(&mut self, now: Duration, wants: Amounts, calls_wanted: u32, calls_in_flight: u32) -> Ask {
        let mut ask = Ask {
            worker: self.worker,
            wants,
            largest: self.largest,
            balances: [0.0; 3],
            lapsed: [0.0; 3],
            calls_wanted,
            calls_in_flight,
            day_left: self.day.unwrap_or_default(),
        };
        for (index, pace) in self.paces.iter_mut().enumerate() {
            if let Some(pace) = pace {
                pace.advance(now.min(self.until), self.largest[index]);
                ask.balances[index] = pace.balance;
                ask.lapsed[index] = std::mem::take(&mut pace.lapsed);
            }
        }
        ask
    }

    /// Takes up the answer. Its rates hold from when the database gave them, which may be a little before `now`.
    pub fn renewed(&mut self, now: Duration, grant: &Grant) {
        for index in 0..3 {
            let before = self.paces[index];
            self.paces[index] = grant.rates[index].map(|rate| {
                let mut pace = before.unwrap_or(Pace { rate: 0.0, balance: 0.0, at: grant.from, lapsed: 0.0 });
                // Up to the new block by the old rate, whatever was advanced beyond it is taken back.
                pace.advance(grant.from.min(self.until), self.largest[index]);
                let beyond = pace.at.min(self.until).saturating_sub(grant.from).as_secs_f64();
                pace.balance += grant.given[index] - beyond * pace.rate;
                (pace.rate, pace.at) = (rate, grant.from);
                pace.advance(now, self.largest[index]);
                pace
            });
        }
        self.day = grant.day.map(|more| more + self.day.unwrap_or_default());
        (self.renew_at, self.until, self.calls) = (grant.renew_at, grant.until, grant.calls);
    }

    /// Reserves what a call needs by estimate (its requests are 1), if it may be sent now with so many others in flight.
    pub fn try_send(&mut self, now: Duration, need: Amounts, in_flight: u32) -> Result<(), NotNow> {
        if now >= self.until {
            return Err(NotNow::Renew);
        }
        if self.calls.is_some_and(|calls| in_flight >= calls) {
            return Err(NotNow::Calls);
        }
        if self.day == Some(0) {
            return Err(NotNow::Day);
        }
        let mut wait = Some(Duration::ZERO);
        for (index, pace) in self.paces.iter_mut().enumerate() {
            if need[index] >= self.largest[index] || now.saturating_sub(self.largest_at[index]) > REMEMBERED {
                (self.largest[index], self.largest_at[index]) = (need[index], now);
            }
            if let Some(pace) = pace {
                pace.advance(now, self.largest[index]);
                wait = wait.zip(pace.wait(need[index], self.largest[index])).map(|(one, other)| one.max(other));
            }
        }
        match wait {
            Some(wait) if wait.is_zero() => {}
            Some(wait) if now + wait < self.until => return Err(NotNow::Until(now + wait)),
            Some(_) | None => return Err(NotNow::Renew),
        }
        for (pace, need) in self.paces.iter_mut().zip(need) {
            if let Some(pace) = pace {
                pace.balance -= need;
            }
        }
        self.day = self.day.map(|day| day.saturating_sub(1));
        Ok(())
    }

    /// Makes up for the difference between what was reserved and what was used. A refused call used nothing.
    pub fn settle(&mut self, resource: Resource, reserved: f64, used: f64) {
        if let Some(pace) = &mut self.paces[resource.index()] {
            pace.balance += reserved - used;
        }
    }
}
