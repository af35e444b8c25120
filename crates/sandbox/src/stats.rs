//! Counters for `GET /_sandbox/stats`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many seconds of arrivals are kept.
const SECONDS: usize = 300;

/// What the sandbox has seen since it started or was reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests that arrived.
    pub requests: u64,
    /// Those that are sent an answer of any status.
    pub answers: u64,
    /// Those that are charged.
    pub billed: u64,
    /// Prompt tokens of those.
    pub billed_prompt_tokens: u64,
    /// Completion tokens of those.
    pub billed_completion_tokens: u64,
    /// Those whose client went away before the answer.
    pub abandoned: u64,
    /// Answers by their HTTP status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests that met a fault, by its name.
    pub by_fault: BTreeMap<String, u64>,
    /// Requests at work now.
    pub in_flight: u64,
    /// The most that were at work at once.
    pub max_in_flight: u64,
    /// Files and provider batches.
    #[serde(default)]
    pub batches: BatchStats,
    /// Arrivals in each of the last 300 seconds, oldest first; the last second is still running.
    pub arrivals_per_second: Vec<u32>,
}

/// What there is of files and provider batches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchStats {
    /// Provider batches by their status: `validating`, `running`, `finalizing`, `completed`, `failed`, `expired`,
    /// `cancelling` or `cancelled`.
    pub by_status: BTreeMap<String, u64>,
    /// Requests of provider batches that have not ended, as far as they are validated.
    pub requests_queued: u64,
    /// Their prompt tokens, where they count against the limit.
    pub enqueued_tokens: u64,
    /// Files kept.
    pub files: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug)]
pub(crate) struct Counters {
    stats: Stats,
    /// By Unix second modulo the length.
    arrivals: [u32; SECONDS],
    /// The second up to which `arrivals` holds.
    second: u64,
}

impl Counters {
    pub fn new() -> Self {
        Self { stats: Stats::default(), arrivals: [0; SECONDS], second: 0 }
    }

    /// A request arrived; gives the number now at work.
    pub fn arrive(&mut self, unix_ms: u64) -> u64 {
        self.advance(unix_ms / 1000);
        self.arrivals[slot(self.second)] += 1;
        self.stats.requests += 1;
        self.stats.in_flight += 1;
        self.stats.max_in_flight = self.stats.max_in_flight.max(self.stats.in_flight);
        self.stats.in_flight
    }

    pub fn leave(&mut self) {
        self.stats.in_flight -= 1;
    }

    pub fn abandon(&mut self) {
        self.stats.abandoned += 1;
    }

    /// The request's reply has been decided. `billed` holds prompt and completion tokens.
    pub fn decide(&mut self, status: Option<u16>, billed: Option<(u64, u64)>, fault: Option<&str>) {
        if let Some(status) = status {
            self.stats.answers += 1;
            *self.stats.by_status.entry(status).or_default() += 1;
        }
        if let Some((prompt, completion)) = billed {
            self.stats.billed += 1;
            self.stats.billed_prompt_tokens += prompt;
            self.stats.billed_completion_tokens += completion;
        }
        if let Some(fault) = fault {
            self.met(fault);
        }
    }

    /// Somebody met a fault.
    pub fn met(&mut self, fault: &str) {
        *self.stats.by_fault.entry(fault.to_owned()).or_default() += 1;
    }

    pub fn read(&mut self, unix_ms: u64) -> Stats {
        self.advance(unix_ms / 1000);
        let oldest = slot(self.second) + 1;
        let arrivals = self.arrivals[oldest..].iter().chain(&self.arrivals[..oldest]);
        Stats { arrivals_per_second: arrivals.copied().collect(), ..self.stats.clone() }
    }

    /// Begins anew; what is at work stays so.
    pub fn reset(&mut self) {
        let in_flight = self.stats.in_flight;
        *self = Self::new();
        self.stats.in_flight = in_flight;
        self.stats.max_in_flight = in_flight;
    }

    /// Empties the slots of the seconds that have passed.
    fn advance(&mut self, now: u64) {
        let passed = now.saturating_sub(self.second);
        if passed >= SECONDS as u64 {
            self.arrivals = [0; SECONDS];
        } else {
            for second in self.second + 1..=now {
                self.arrivals[slot(second)] = 0;
            }
        }
        self.second = self.second.max(now);
    }
}

fn slot(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).expect("the remainder is below 300")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_listed_by_second_oldest_first() {
        let mut counters = Counters::new();
        for unix_ms in [1_000_000, 1_000_100, 1_001_000, 1_003_000] {
            counters.arrive(unix_ms);
        }
        let stats = counters.read(1_003_500);
        assert_eq!(stats.arrivals_per_second.len(), SECONDS);
        assert_eq!(stats.arrivals_per_second[SECONDS - 4..], [2, 1, 0, 1]);
        let later = counters.read(1_003_000 + 299_000);
        assert_eq!((later.arrivals_per_second[0], later.arrivals_per_second[1]), (1, 0));
        assert_eq!(counters.read(2_000_000).arrivals_per_second, [0; SECONDS]);
    }

    #[test]
    fn reset_keeps_what_is_at_work() {
        let mut counters = Counters::new();
        assert_eq!([counters.arrive(0), counters.arrive(0)], [1, 2]);
        counters.leave();
        counters.reset();
        let stats = counters.read(0);
        assert_eq!((stats.requests, stats.in_flight, stats.max_in_flight), (0, 1, 1));
    }
}
