//! This process's share of a limit group: what it may send, and what it has to tell the others.

use std::time::Duration;

use domain::breaker::{self, Breaker, Gate, News, Verdict};
use domain::flow::Flow;
use domain::ids::WorkerId;
use domain::outcome::Usage;
use domain::permits::{Amounts, Ask, Grant, Lease, Limits, NotNow, Resource, SPAN};
use domain::retry_budget::{RetryBudget, Sent};
use tokio::time::Instant;

/// The database's clock as this process knows it: a little behind, by the way from there.
#[derive(Debug, Clone, Copy)]
struct Clock {
    at: Instant,
    told: Duration,
}

/// Output tokens of a call before any has ended.
const FIRST_OUTPUT: f64 = 200.0;
/// How much the last answer counts for the mean of their lengths.
const WEIGHT: f64 = 0.02;

/// A copy of what is shared, and what happened since it was read.
pub(super) struct Share {
    clock: Option<Clock>,
    worker: WorkerId,
    lease: Lease,
    breaker: Breaker,
    news: News,
    probe: Option<breaker::Probe>,
    wants_probe: bool,
    probed: Vec<(breaker::Probe, breaker::Outcome)>,
    budget: RetryBudget,
    sent: Sent,
    /// Since the last exchange.
    cooldown: Duration,
    exchanged: Option<Instant>,
    /// Of late.
    calls_per_second: f64,
    in_flight: u32,
    /// When the last call that succeeded was sent.
    succeeded_at: Option<Instant>,
    mean_output: f64,
    mean_input: Option<f64>,
}

/// A call that was let through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted {
    pub sent_at: Duration,
    /// The same by this process's clock.
    at: Instant,
    pub need: Amounts,
    pub probe: Option<breaker::Probe>,
}

/// Why a call has to wait, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    Until(Instant),
    /// For an exchange with the database.
    Exchange,
    /// For the end of another call.
    Call,
}

/// What is told to the database.
pub(super) struct Told {
    ask: Ask,
    news: News,
    probed: Vec<(breaker::Probe, breaker::Outcome)>,
    wants_probe: bool,
    sent: Sent,
    calls_per_second: f64,
    cooldown: Duration,
}

impl Share {
    pub(super) fn new() -> Self {
        let worker = WorkerId(uuid::Uuid::now_v7());
        Self {
            clock: None,
            worker,
            lease: Lease::new(worker),
            breaker: Breaker::default(),
            news: News::default(),
            probe: None,
            wants_probe: false,
            probed: Vec::new(),
            budget: RetryBudget::default(),
            sent: Sent::default(),
            cooldown: Duration::ZERO,
            exchanged: None,
            calls_per_second: 0.0,
            in_flight: 0,
            succeeded_at: None,
            mean_output: FIRST_OUTPUT,
            mean_input: None,
        }
    }

    /// Lets a call of so many estimated input tokens through, if it may be sent now.
    pub(super) fn admit(&mut self, input_tokens: u32, is_retry: bool) -> Result<Admitted, Wait> {
        // Before the first exchange, so that it asks for enough.
        let mean = self.mean_input.get_or_insert(f64::from(input_tokens));
        *mean += WEIGHT * (f64::from(input_tokens) - *mean);
        let clock = self.clock.ok_or(Wait::Exchange)?;
        let now = clock.now();
        let probe = match self.breaker.gate(now) {
            Gate::Send => None,
            // Somebody else may find that it is over: an exchange tells.
            Gate::Wait { until } => return Err(Wait::Until(clock.instant(until).min(Instant::now() + OTHERS))),
            Gate::ProbeDue => {
                let Some(probe) = self.probe.take() else {
                    self.wants_probe = true;
                    return Err(Wait::Exchange);
                };
                Some(probe)
            }
        };
        let need = [1.0, f64::from(input_tokens), self.mean_output];
        if let Err(not_now) = self.lease.try_send(now, need, self.in_flight) {
            self.probe = probe.or(self.probe);
            return Err(match not_now {
                NotNow::Until(until) => Wait::Until(clock.instant(until)),
                NotNow::Calls => Wait::Call,
                NotNow::Renew if self.lease.renew_at() > now => Wait::Until(clock.instant(self.lease.renew_at())),
                NotNow::Renew => Wait::Exchange,
                NotNow::Day => Wait::Until(Instant::now() + TODAY),
            });
        }
        self.in_flight += 1;
        let sent = if is_retry { &mut self.sent.retries } else { &mut self.sent.first };
        *sent += 1;
        self.budget.apply(now, self.calls_per_second, one(is_retry));
        Ok(Admitted { sent_at: now, at: Instant::now(), need, probe })
    }

    /// Whether a row that failed may be sent again now.
    pub(super) fn may_retry(&self) -> bool {
        let Some(clock) = self.clock else { return true };
        !self.breaker.is_closed() || self.budget.allows(clock.now(), self.calls_per_second)
    }

    /// Notes how a call ended, as far as it tells something about the provider, and what it used. `failed_at`: its row failed before, then.
    ///
    /// A row's further failures tell nothing new: it may be the row. Where others have succeeded since its first, it is.
    pub(super) fn note(
        &mut self,
        call: &Admitted,
        outcome: Option<breaker::Outcome>,
        failed_at: Option<Instant>,
        usage: Option<Usage>,
    ) -> Verdict {
        let [_, input, output] = call.need;
        let used = match (outcome, usage) {
            (_, Some(usage)) if usage != Usage::default() => {
                self.mean_output += WEIGHT * (count(usage.output_tokens) - self.mean_output);
                (count(usage.input_tokens), count(usage.output_tokens))
            }
            (Some(breaker::Outcome::Refused), _) => (0.0, 0.0),
            // It may have been worked on, whatever the reply was: the estimate stands.
            (Some(breaker::Outcome::Ok | breaker::Outcome::Timeout | breaker::Outcome::Transient) | None, _) => {
                (input, output)
            }
        };
        self.lease.settle(Resource::InputTokens, input, used.0);
        self.lease.settle(Resource::OutputTokens, output, used.1);
        let (Some(clock), Some(outcome)) = (self.clock, outcome) else { return Verdict::Counts };
        if outcome == breaker::Outcome::Ok {
            self.succeeded_at = self.succeeded_at.max(Some(call.at));
        }
        let is_again =
            failed_at.is_some() && matches!(outcome, breaker::Outcome::Transient | breaker::Outcome::Timeout);
        let verdict = match call.probe {
            Some(probe) => {
                self.probed.push((probe, outcome));
                Verdict::Spared
            }
            None if is_again => self.breaker.verdict(call.sent_at),
            None => self.breaker.note(clock.now(), call.sent_at, outcome, &mut self.news),
        };
        let others_succeeded = self.succeeded_at > failed_at;
        if is_again && call.probe.is_none() && others_succeeded { Verdict::Counts } else { verdict }
    }

    /// A call that was let through was not sent.
    pub(super) fn forget(&mut self, call: &Admitted) {
        let [_, input, output] = call.need;
        self.lease.settle(Resource::InputTokens, input, 0.0);
        self.lease.settle(Resource::OutputTokens, output, 0.0);
        self.probe = call.probe.or(self.probe);
        self.ended();
    }

    /// A call is not in flight any more.
    pub(super) fn ended(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The provider asked everybody to wait.
    pub(super) fn cool_down(&mut self, wait: Duration) {
        if let Some(clock) = self.clock {
            self.cooldown = self.cooldown.max(clock.now() + wait);
        }
    }

    /// Whether others should hear at once.
    pub(super) fn is_urgent(&self) -> bool {
        !self.probed.is_empty() || self.wants_probe || self.cooldown > Duration::ZERO || !self.breaker.is_closed()
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// When the next exchange is due for the rates' sake.
    pub(super) fn renew_at(&self) -> Option<Instant> {
        Some(self.clock?.instant(self.lease.renew_at()))
    }

    /// Takes what is to be told, with so many rows that could be sent. Who `leaves` has no permits from now on.
    pub(super) fn tell(&mut self, rows: usize, leaves: bool) -> Told {
        let now = self.clock.map_or(Duration::ZERO, |clock| clock.now());
        if let Some(elapsed) = self.exchanged.map(|at| at.elapsed().as_secs_f64()).filter(|elapsed| *elapsed > 0.2) {
            let rate = f64::from(self.sent.first + self.sent.retries) / elapsed;
            self.calls_per_second += 0.3 * (rate - self.calls_per_second);
        }
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        // A few rows in a part of the span; of many, the next ones may come before it ends.
        let requests = (8.0 * f64::from(rows)).max(2.0 * self.calls_per_second * SPAN.as_secs_f64());
        let wants = [requests, requests * self.mean_input.unwrap_or(1.0).max(1.0), requests * self.mean_output];
        let ask = self.lease.ask(now, wants, rows.saturating_add(self.in_flight), self.in_flight);
        if leaves {
            self.lease = Lease::new(self.worker);
        }
        Told {
            ask,
            news: std::mem::take(&mut self.news),
            probed: std::mem::take(&mut self.probed),
            wants_probe: std::mem::take(&mut self.wants_probe),
            sent: std::mem::take(&mut self.sent),
            calls_per_second: self.calls_per_second,
            cooldown: std::mem::take(&mut self.cooldown),
        }
    }

    /// What was told did not arrive.
    pub(super) fn take_back(&mut self, told: Told) {
        let mut news = told.news;
        news.add(&self.news);
        self.news = news;
        self.probed.extend(told.probed);
        self.wants_probe |= told.wants_probe;
        self.sent.first += told.sent.first;
        self.sent.retries += told.sent.retries;
        self.cooldown = self.cooldown.max(told.cooldown);
    }

    /// Takes the answer up: the shared state as it is now, at a time of the database's clock that was read at `at`.
    pub(super) fn heard(&mut self, flow: &Flow, answer: Answer, at: Instant) {
        let clock = Clock { at, told: answer.now };
        self.clock = Some(clock);
        self.exchanged = Some(at);
        if let Some(grant) = answer.grant {
            self.lease.renewed(clock.now(), &grant);
        }
        (self.breaker, self.budget) = (flow.breaker.clone(), flow.budget);
        // What happened while the answer was on its way.
        self.breaker.apply(clock.now(), &self.news);
        self.budget.apply(clock.now(), self.calls_per_second, self.sent);
        self.probe = answer.probe.or(self.probe);
    }

    /// How long the provider's request for patience still holds, as everybody's calls have told.
    pub(super) fn patience(&self, flow: &Flow) -> Option<Duration> {
        let clock = self.clock?;
        flow.cooldown.checked_sub(clock.now()).filter(|wait| !wait.is_zero())
    }
}

/// While others may find out something, nobody waits for longer without asking.
const OTHERS: Duration = Duration::from_secs(1);
/// Until the next look whether the day's requests allow one more.
const TODAY: Duration = Duration::from_secs(30);

/// What an exchange brought beside the shared state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub now: Duration,
    grant: Option<Grant>,
    probe: Option<breaker::Probe>,
}

impl Told {
    /// Tells it to the shared state, at a time of the database's clock. One who `leaves` gives its permits back.
    pub(super) fn apply(&self, flow: &mut Flow, limits: &Limits, now: Duration, leaves: bool) -> Answer {
        if flow.is_ahead_of(now) {
            tracing::warn!("the database's clock went back: what workers share begins anew");
            *flow = Flow::default();
        }
        for (probe, outcome) in &self.probed {
            if let Some(lasted) = flow.breaker.probed(now, *probe, *outcome) {
                tracing::info!(seconds = lasted.as_secs(), "the provider works again");
            }
        }
        if flow.breaker.apply(now, &self.news) {
            tracing::warn!("calls fail one and all: nobody sends but single tries");
        }
        let probe = if self.wants_probe { flow.breaker.take_probe(now) } else { None };
        flow.budget.apply(now, self.calls_per_second, self.sent);
        flow.cooldown = flow.cooldown.max(self.cooldown);
        let grant = if leaves {
            flow.permits.give_back(limits, now, &self.ask);
            None
        } else {
            Some(flow.permits.take(limits, now, &self.ask))
        };
        Answer { now, grant, probe }
    }
}

impl Clock {
    fn now(&self) -> Duration {
        self.told + self.at.elapsed()
    }

    fn instant(&self, time: Duration) -> Instant {
        self.at + time.saturating_sub(self.told)
    }
}

fn one(is_retry: bool) -> Sent {
    Sent { first: u32::from(!is_retry), retries: u32::from(is_retry) }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(tokens: u64) -> f64 {
    tokens as f64
}
