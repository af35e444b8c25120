//! The real-time route: permit → call → classify → retry or outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use db::dispatches::DispatchLease;
use db::outcomes::{Attempt, RowOutcome};
use domain::breaker::{self, MOST_SPARED, Verdict};
use domain::failure::{Class, Failure, Next};
use domain::money::Money;
use domain::outcome::{Outcome, Status, Usage};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use providers::{Answer, Reply};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::job::Job;
use crate::run::commit::{Committer, RowResult};
use crate::run::limits::{Permit, Slot};
use crate::run::registry::Model;
use crate::run::rows::{OpenRow, Queue};
use crate::worker::Held;
use crate::{Context, StepError};

/// A leased dispatch being worked on.
pub(crate) struct Dispatch<'a> {
    pub context: &'a Context,
    pub lease: Arc<DispatchLease>,
    pub job: Arc<Job>,
    pub model: Arc<Model>,
    pub committer: &'a Committer,
    /// No new call once it is cancelled; calls in flight may finish.
    pub stop: CancellationToken,
    /// Calls in flight are given up as well.
    pub abort: CancellationToken,
    /// Rows not sent yet, for whoever decides about further dispatches.
    pub unsent: Arc<AtomicUsize>,
    /// Wakes whoever decides about further dispatches.
    pub wake: &'a Notify,
    /// Whether the lease is sure to hold still.
    pub held: &'a Held,
}

type Admission = BoxFuture<'static, (OpenRow, Permit)>;
type Call = BoxFuture<'static, (OpenRow, Permit, Reply)>;

/// How long a row that failed makes way for others.
const MAKE_WAY: Duration = Duration::from_secs(1);

impl Dispatch<'_> {
    /// Runs until every row has its outcome or nothing more may be sent, and hands all results to the committer.
    pub(crate) async fn run(&self, mut queue: Queue) {
        let prepared = self.model.driver.prepare(&self.job.spec.params);
        let mut pauses = self.model.group.pauses();
        let mut calls: FuturesUnordered<Call> = FuturesUnordered::new();
        let mut admission: Option<Admission> = None;
        let _unsent = Unsent(self);
        loop {
            self.tell_unsent(queue.len() + usize::from(admission.is_some()));
            let stopped = self.stop.is_cancelled();
            if stopped {
                admission = None;
            } else if admission.is_none() {
                admission = self.next(&mut queue).map(|row| self.admit(row));
            }
            if calls.is_empty() && admission.is_none() && (stopped || queue.is_empty()) {
                return;
            }
            tokio::select! {
                biased;
                () = self.abort.cancelled() => return,
                () = self.stop.cancelled(), if !stopped => {}
                // No call can work: the rows go back, to be dispatched again by the records as they are then.
                _ = pauses.changed(), if !stopped => self.stop.cancel(),
                Some((row, permit, reply)) = calls.next() => self.finish(&mut queue, row, permit, reply),
                (row, permit) = maybe(&mut admission) => {
                    admission = None;
                    if self.held.are_valid() {
                        self.send(&mut calls, &prepared, row, permit);
                    } else {
                        self.stop.cancel();
                    }
                }
                () = sleep_until(queue.next_at()), if admission.is_none() && !stopped => {}
            }
        }
    }

    /// When the rows run low, the next dispatch should be on its way.
    fn tell_unsent(&self, rows: usize) {
        let low = 2 * self.model.group.max_calls();
        let before = self.unsent.swap(rows, Ordering::Relaxed);
        self.model.group.note_unsent(difference(rows, before));
        if before > low && rows <= low {
            self.wake.notify_one();
        }
    }

    /// The next row that may be sent. Rows that failed make way while there are too many of them.
    fn next(&self, queue: &mut Queue) -> Option<OpenRow> {
        loop {
            let row = queue.pop()?;
            if !row.is_retry() || self.model.group.may_retry() {
                return Some(row);
            }
            queue.push_after(row, MAKE_WAY);
        }
    }

    fn admit(&self, row: OpenRow) -> Admission {
        let group = self.model.group.clone();
        async move {
            let permit = group.admit(row.tokens(), row.is_retry()).await;
            (row, permit)
        }
        .boxed()
    }

    fn send(&self, calls: &mut FuturesUnordered<Call>, prepared: &Bytes, row: OpenRow, permit: Permit) {
        let request = match row.request(&self.job) {
            Ok(request) => request,
            Err(error) => {
                let failure = Failure::new(Class::Permanent, error.code, error.message);
                return self.dead_letter(&row, failure, None, Charge::none(), permit.worked());
            }
        };
        let model = self.model.clone();
        let prepared = request.params.map_or_else(|| prepared.clone(), |params| model.driver.prepare(&params));
        calls.push(
            async move {
                let reply = model.driver.chat(&prepared, &request.messages).await;
                (row, permit, reply)
            }
            .boxed(),
        );
    }

    fn finish(&self, queue: &mut Queue, mut row: OpenRow, mut permit: Permit, reply: Reply) {
        let charge = self.charge(&reply);
        row.add(&charge);
        let verdict = permit.note(told_by(&reply), row.failed_at, reply.usage);
        match reply.result {
            Ok(answer) => self.succeeded(&row, answer, charge, permit),
            Err(failure) => {
                let Reply { refusal, http_status, request_id, .. } = reply;
                // An outage costs no row its attempts; a row that causes one ends all the same.
                let is_spared = failure.class.counts() && verdict == Verdict::Spared && row.spared < MOST_SPARED;
                row.spared += u32::from(is_spared);
                if failure.class == Class::Transient {
                    row.failed_at.get_or_insert_with(Instant::now);
                }
                let counted = failure.class.counts() && !is_spared;
                row.tally.counted += u32::from(counted);
                row.tally.total += 1;
                self.failed(queue, row, permit, failure, Told { charge, counted, refusal, http_status, request_id });
            }
        }
    }

    fn succeeded(&self, row: &OpenRow, answer: Answer, charge: Charge, permit: Permit) {
        let outcome = Outcome {
            status: Status::Succeeded,
            response: Some(answer.text),
            error: None,
            model: Some(self.model.name.to_string()),
            finish_reason: answer.finish_reason,
            usage: row.usage,
            cost: row.cost,
            attempts: row.tally.total + 1,
        };
        self.close(row, outcome, charge, permit.worked());
    }

    fn failed(&self, queue: &mut Queue, row: OpenRow, permit: Permit, failure: Failure, told: Told) {
        let next = failure.next(row.tally, self.job.spec.limits.max_attempts);
        let slot = self.tell_group(&failure, next, permit);
        if next == Next::DeadLetter {
            return self.dead_letter(&row, failure, told.refusal, told.charge, slot);
        }
        let wait = match next {
            Next::Again => self.context.options.backoff.wait(row.tally.total, fastrand::f64(), failure.retry_after),
            Next::Pause | Next::DeadLetter => Duration::ZERO,
        };
        let attempt = Attempt {
            row: row.number(),
            attempt: row.tally.total,
            counted: told.counted,
            error: failure.error,
            http_status: told.http_status,
            request_id: told.request_id,
            usage: told.charge.usage,
            cost: told.charge.cost,
            retry_after: wait,
        };
        self.committer.row(&self.lease, row.chunk.chunk_no, RowResult::Attempt(attempt), slot);
        if next == Next::Pause { queue.push_front(row) } else { queue.push_after(row, wait) }
    }

    /// What a failure means for the calls of everybody else.
    fn tell_group(&self, failure: &Failure, next: Next, permit: Permit) -> Slot {
        let group = &self.model.group;
        match (next, failure.class) {
            (Next::Pause, _) => permit.stopped(&failure.error.code, &failure.error.message),
            (Next::Again | Next::DeadLetter, Class::Transient) => permit.told_nothing(),
            (Next::Again | Next::DeadLetter, _) => {
                let slot = permit.worked();
                if let (Class::Wait, Some(asked)) = (failure.class, failure.retry_after) {
                    group.cool_down(asked);
                }
                slot
            }
        }
    }

    fn dead_letter(&self, row: &OpenRow, failure: Failure, refusal: Option<String>, charge: Charge, slot: Slot) {
        let outcome = Outcome {
            status: Status::Failed,
            response: refusal,
            error: Some(failure.error),
            model: Some(self.model.name.to_string()),
            finish_reason: None,
            usage: row.usage,
            cost: row.cost,
            attempts: row.tally.total,
        };
        self.close(row, outcome, charge, slot);
    }

    fn close(&self, row: &OpenRow, outcome: Outcome, charge: Charge, slot: Slot) {
        let outcome = RowOutcome { row: row.number(), outcome, last_usage: charge.usage, last_cost: charge.cost };
        self.committer.row(&self.lease, row.chunk.chunk_no, RowResult::Outcome(outcome), slot);
    }

    /// What a reply costs. An answer without usage is paid for, nobody knows how much; an error without usage is free.
    fn charge(&self, reply: &Reply) -> Charge {
        let billed = match &reply.result {
            Ok(_) => true,
            // A filter in front of the model refuses with an error status, and nothing was worked out.
            Err(failure) => failure.class == Class::Refusal && reply.http_status == Some(200),
        };
        let cost = match (&reply.usage, &self.model.tariff) {
            (Some(usage), Some(tariff)) => Some(tariff.cost(usage)),
            (None, Some(_)) if !billed => Some(Money::ZERO),
            (None, Some(_)) | (_, None) => None,
        };
        Charge { usage: reply.usage.unwrap_or_default(), cost }
    }
}

/// What a reply without an answer told.
struct Told {
    charge: Charge,
    /// Against the row's `max_attempts`.
    counted: bool,
    refusal: Option<String>,
    http_status: Option<u16>,
    request_id: Option<String>,
}

/// What one reply used.
#[derive(Debug, Clone, Copy)]
struct Charge {
    usage: Usage,
    cost: Option<Money>,
}

impl Charge {
    fn none() -> Self {
        Self { usage: Usage::default(), cost: Some(Money::ZERO) }
    }
}

impl OpenRow {
    fn add(&mut self, charge: &Charge) {
        self.usage += charge.usage;
        self.cost = self.cost.zip(charge.cost).map(|(sum, cost)| sum + cost);
    }
}

/// While a dispatch runs, its rows that are not sent count for its limit group's demand.
struct Unsent<'a>(&'a Dispatch<'a>);

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        let rows = self.0.unsent.swap(0, Ordering::Relaxed);
        self.0.model.group.note_unsent(difference(0, rows));
    }
}

fn difference(now: usize, before: usize) -> i64 {
    let signed = |rows| i64::try_from(rows).unwrap_or(i64::MAX);
    signed(now) - signed(before)
}

/// What a reply tells of its provider. `None`: nothing that time could mend.
fn told_by(reply: &Reply) -> Option<breaker::Outcome> {
    let Err(failure) = &reply.result else { return Some(breaker::Outcome::Ok) };
    match failure.class {
        Class::Wait => Some(breaker::Outcome::Refused),
        Class::Transient if failure.error.code == "provider_timeout" => Some(breaker::Outcome::Timeout),
        // It answered, if nothing of use.
        Class::Transient if failure.error.code == "invalid_provider_response" => None,
        Class::Transient => Some(breaker::Outcome::Transient),
        Class::Permanent | Class::Refusal | Class::Invalid => Some(breaker::Outcome::Ok),
        Class::KeyLevel => None,
    }
}

/// Waits for the future, or for ever where there is none.
async fn maybe<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Loads and runs a dispatch, then settles it.
pub(crate) async fn run(dispatch: &Dispatch<'_>) -> Result<(), StepError> {
    let queue = crate::run::rows::load(dispatch.context, &dispatch.lease, &dispatch.job).await?;
    let (rows, started) = (queue.len(), Instant::now());
    dispatch.run(queue).await;
    if !dispatch.stop.is_cancelled() {
        dispatch.model.group.note_pace(rows, started.elapsed());
    }
    Ok(())
}
