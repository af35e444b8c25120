//! How much a limit group may do where nobody says it: calls in flight, and requests a second once refusals show that there is a limit of them.
//!
//! Each of the two is a knob (`knob.rs`): it grows while workers are held up by it and it pays, and shrinks on refusals, never on latency, which
//! follows the answers' length. A 429 turns the rate: what is accepted while some is refused *is* the limit. A 503, a 529 or a timeout
//! says that there is too much work at once, and turns the calls in flight; so do 429s that go on whatever the rate.
//!
//! The value in the database is the truth; workers read a copy of it. Each collects [`News`] and [applies](Limit::apply) it to the truth once a second,
//! or 250 ms after the last time where a refusal is in it ([`News::is_urgent`]). The rate that is found is what `permits` share out
//! (`found_per_second`). Times are since one start for all workers.

mod knob;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::knob::{Kind, Knob};

/// Calls in flight to begin with, where the record has no limit.
const FIRST_CALLS: f64 = 16.0;
/// Calls in flight at most, where the record has no limit.
const MOST_CALLS: f64 = 10_000.0;
/// Deep cuts of the rate in a row after which 429s are taken to mean calls in flight.
const IN_VAIN: u32 = 4;
/// An interruption of at least this is an outage, after which the limit is what it was before; a shorter one may come of the limit itself.
const OUTAGE: Duration = Duration::from_secs(5);
/// Within this the mean of what was sent is taken.
const MEMORY_S: f64 = 1.0;

/// What a limit group may do, as far as it was found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Grows whenever something shrinks; refusals of calls sent before say nothing about now.
    era: u64,
    at: Duration,
    calls: Knob,
    /// Requests a second. `None`: no 429 has come yet, or the first has just come.
    rate: Option<Knob>,
    /// When the first 429 came: how much all workers send is known a second later.
    refused_at: Option<Duration>,
    /// Requests a second that were sent of late.
    sending: f64,
    /// The record's limit of calls in flight, or what stands in for it.
    most_calls: f64,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With an answer, or a failure that has nothing to do with load.
    Answered,
    /// 429.
    Refused,
    /// 503, 529 or a timeout.
    Overloaded,
}

/// What a worker has to tell of the time since it last took a copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct News {
    /// Of the copy by which it sent.
    era: u64,
    sent: u32,
    answered: u32,
    refused: Ends,
    overloaded: Ends,
    /// Whether rows waited for the rate.
    pub waited_for_rate: bool,
    /// Whether rows waited for calls in flight to end.
    pub waited_for_calls: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ends {
    all: u32,
    /// Of calls that were sent in the news' era.
    of_era: u32,
}

impl News {
    /// Nothing yet, for a worker that has just taken this copy.
    pub fn since(copy: &Limit) -> Self {
        Self { era: copy.era, ..Self::default() }
    }

    /// Notes that a call is sent. Returns the era to keep with it.
    pub fn sent(&mut self) -> u64 {
        self.sent += 1;
        self.era
    }

    /// Notes the end of a call, with the era that came of sending it.
    pub fn ended(&mut self, era: u64, end: End) {
        let ends = match end {
            End::Answered => {
                self.answered += 1;
                return;
            }
            End::Refused => &mut self.refused,
            End::Overloaded => &mut self.overloaded,
        };
        ends.all += 1;
        ends.of_era += u32::from(era == self.era);
    }

    /// Whether the others should know it soon.
    pub fn is_urgent(&self) -> bool {
        self.refused.all > 0 || self.overloaded.all > 0
    }
}

impl Limit {
    /// Nothing known but the record's limit of calls in flight, if it has one: that is where it begins.
    pub fn new(now: Duration, max_concurrency: Option<u32>) -> Self {
        let known = max_concurrency.map(|calls| f64::from(calls.max(1)));
        Self {
            era: 0,
            at: now,
            calls: Knob::new(known.unwrap_or(FIRST_CALLS)),
            rate: None,
            refused_at: None,
            sending: 0.0,
            most_calls: known.unwrap_or(MOST_CALLS),
        }
    }

    /// Calls in flight of all workers together.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1, and at most a u32")]
    pub fn calls(&self) -> u32 {
        self.calls.value().round().clamp(1.0, self.most_calls) as u32
    }

    /// Requests a second of all workers together. `None`: there is no sign that they are limited.
    pub fn per_second(&self) -> Option<f64> {
        self.rate.as_ref().map(Knob::value)
    }

    /// Adds a worker's news.
    pub fn apply(&mut self, now: Duration, news: &News) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.sending = self.sending * (-passed / MEMORY_S).exp() + f64::from(news.sent) / MEMORY_S;
        let is_current = news.era == self.era;
        let mut has_shrunk = self.apply_refusals(now, news);
        self.calls.count(now, f64::from(news.answered), news.waited_for_calls);
        if is_current {
            self.calls.try_on(now, f64::from(news.answered), f64::from(news.overloaded.of_era));
            has_shrunk |= news.overloaded.of_era > 0 && self.calls.refused(now);
        }
        has_shrunk |= self.calls.try_out(now);
        if has_shrunk {
            self.era += 1;
        }
        if let Some(rate) = &mut self.rate {
            rate.grow(now, passed, Kind::Rate);
        }
        self.calls.grow(now, passed, Kind::Calls);
        self.calls.cap(self.most_calls);
    }

    fn apply_refusals(&mut self, now: Duration, news: &News) -> bool {
        let is_current = news.era == self.era;
        let is_refused = is_current && news.refused.of_era > 0;
        if self.rate.is_none() {
            let since = if is_refused { *self.refused_at.get_or_insert(now) } else { now };
            if now.saturating_sub(since) < knob::SETTLE {
                return false;
            }
        }
        let rate = self.rate.get_or_insert_with(|| Knob::new(self.sending.max(1.0)));
        rate.count(now, f64::from(news.sent) - f64::from(news.refused.all), news.waited_for_rate);
        let mut has_shrunk = false;
        if is_current {
            let refused = f64::from(news.refused.of_era);
            rate.try_on(now, f64::from(news.sent) - refused, refused);
            has_shrunk = is_refused && rate.refused(now);
        }
        has_shrunk |= rate.try_out(now);
        if is_refused && rate.cuts_in_vain() >= IN_VAIN {
            has_shrunk |= self.calls.refused(now);
        }
        has_shrunk
    }

    /// The breaker has closed after an interruption that lasted so long. After an outage the limit grows back to what it was before, within
    /// about two seconds, and looks further from there.
    pub fn resume(&mut self, now: Duration, lasted: Duration) {
        if lasted < OUTAGE {
            return;
        }
        self.era += 1;
        self.calls.resume(now);
        if let Some(rate) = &mut self.rate {
            rate.resume(now);
        }
    }

    /// The provider asked for a slow ramp (OpenAI's `slow_down`): half of it now, and at most half more in 15 minutes.
    pub fn slow_down(&mut self, now: Duration) {
        self.era += 1;
        let sending = self.sending.max(1.0);
        self.rate.get_or_insert_with(|| Knob::new(sending)).slow_down(now);
    }
}

#[cfg(test)]
mod tests;
