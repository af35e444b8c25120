//! The real-time route: permit → call → classify → retry or outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use db::dispatches::DispatchLease;
use db::outcomes::{Attempt, RowOutcome};
use domain::failure::{Class, Failure, Next, Tally};
use domain::money::Money;
use domain::outcome::{Outcome, Status, Usage};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use providers::Reply;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::job::Job;
use crate::run::commit::{Committer, RowResult};
use crate::run::limits::Permit;
use crate::run::registry::Model;
use crate::run::rows::{OpenRow, Queue};
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
}

type Admission = BoxFuture<'static, (OpenRow, Permit)>;
type Call = BoxFuture<'static, (OpenRow, Permit, Reply)>;

impl Dispatch<'_> {
    /// Runs until every row has its outcome or nothing more may be sent, and hands all results to the committer.
    pub(crate) async fn run(&self, mut queue: Queue) {
        let prepared = self.model.driver.prepare(&self.job.spec.params);
        let mut calls: FuturesUnordered<Call> = FuturesUnordered::new();
        let mut admission: Option<Admission> = None;
        loop {
            self.tell_unsent(queue.len());
            let stopped = self.stop.is_cancelled();
            if stopped {
                admission = None;
            } else if admission.is_none() {
                admission = queue.pop().map(|row| self.admit(row));
            }
            if calls.is_empty() && admission.is_none() && (stopped || queue.is_empty()) {
                return;
            }
            tokio::select! {
                biased;
                () = self.abort.cancelled() => return,
                () = self.stop.cancelled(), if !stopped => {}
                Some((row, permit, reply)) = calls.next() => self.finish(&mut queue, row, permit, reply),
                (row, permit) = maybe(&mut admission) => {
                    admission = None;
                    self.send(&mut calls, &prepared, row, permit);
                }
                () = sleep_until(queue.next_at()), if admission.is_none() && !stopped => {}
            }
        }
    }

    /// When the rows run low, the next dispatch should be on its way.
    fn tell_unsent(&self, rows: usize) {
        let low = 2 * self.model.group.max_calls();
        let before = self.unsent.swap(rows, Ordering::Relaxed);
        if before > low && rows <= low {
            self.wake.notify_one();
        }
    }

    fn admit(&self, row: OpenRow) -> Admission {
        let group = self.model.group.clone();
        async move {
            let permit = group.admit(row.tokens()).await;
            (row, permit)
        }
        .boxed()
    }

    fn send(&self, calls: &mut FuturesUnordered<Call>, prepared: &Bytes, row: OpenRow, permit: Permit) {
        // Plan has rendered the same row with the same template, so this fails only if a work file has changed.
        let messages = match self.job.prompt.render(&row.cells(), usize::MAX) {
            Ok(messages) => messages,
            Err(error) => {
                let failure = Failure::new(Class::Permanent, error.code(), error.to_string());
                return self.dead_letter(row, Some(permit.worked()), failure, None, Charge::none());
            }
        };
        let (model, prepared) = (self.model.clone(), prepared.clone());
        calls.push(
            async move {
                let reply = model.driver.chat(&prepared, &messages).await;
                (row, permit, reply)
            }
            .boxed(),
        );
    }

    fn finish(&self, queue: &mut Queue, mut row: OpenRow, permit: Permit, reply: Reply) {
        let charge = self.charge(&reply);
        row.add(&charge);
        match reply.result {
            Ok(answer) => {
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
                self.close(&row, outcome, charge, Some(permit.worked()));
            }
            Err(failure) => self.failed(queue, row, permit, failure, charge, reply.refusal, reply.http_status, reply.request_id),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one reply")]
    fn failed(
        &self,
        queue: &mut Queue,
        mut row: OpenRow,
        permit: Permit,
        failure: Failure,
        charge: Charge,
        refusal: Option<String>,
        http_status: Option<u16>,
        request_id: Option<String>,
    ) {
        let counts = failure.class.counts();
        row.tally = Tally { counted: row.tally.counted + u32::from(counts), total: row.tally.total + 1 };
        let next = failure.next(row.tally, self.job.spec.limits.max_attempts);
        let slot = match next {
            Next::Pause => permit.stopped(&self.model.group, &failure.error.code, &failure.error.message),
            Next::Again | Next::DeadLetter => permit.worked(),
        };
        if failure.class == Class::Wait
            && let Some(asked) = failure.retry_after
        {
            self.model.group.cool_down(asked);
        }
        let wait = match next {
            Next::DeadLetter => return self.dead_letter(row, Some(slot), failure, refusal, charge),
            Next::Again => self.context.options.backoff.wait(row.tally.total, fastrand::f64(), failure.retry_after),
            Next::Pause => Duration::ZERO,
        };
        let attempt = Attempt {
            row: row.number(),
            attempt: row.tally.total,
            counted: counts,
            error: failure.error,
            http_status,
            request_id,
            usage: charge.usage,
            cost: charge.cost,
            retry_after: wait,
        };
        self.committer.row(&self.lease, row.chunk.chunk_no, RowResult::Attempt(attempt), Some(slot));
        if next == Next::Pause { queue.push_front(row) } else { queue.push_after(row, wait) }
    }

    fn dead_letter(
        &self,
        row: OpenRow,
        slot: Option<crate::run::limits::Slot>,
        failure: Failure,
        refusal: Option<String>,
        charge: Charge,
    ) {
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
        self.close(&row, outcome, charge, slot);
    }

    fn close(&self, row: &OpenRow, outcome: Outcome, charge: Charge, slot: Option<crate::run::limits::Slot>) {
        let outcome = RowOutcome { row: row.number(), outcome, last_usage: charge.usage, last_cost: charge.cost };
        self.committer.row(&self.lease, row.chunk.chunk_no, RowResult::Outcome(outcome), slot);
    }

    /// What a reply costs. An answer without usage is paid for, nobody knows how much; an error without usage is free.
    fn charge(&self, reply: &Reply) -> Charge {
        let billed = reply.result.is_ok() || matches!(&reply.result, Err(failure) if failure.class == Class::Refusal);
        let cost = match (&reply.usage, self.model.prices) {
            (Some(usage), Some(prices)) => Some(prices.cost(usage)),
            (None, Some(_)) if !billed => Some(Money::ZERO),
            (None, Some(_)) | (_, None) => None,
        };
        Charge { usage: reply.usage.unwrap_or_default(), cost }
    }
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
        self.usage.input_tokens += charge.usage.input_tokens;
        self.usage.cached_input_tokens += charge.usage.cached_input_tokens;
        self.usage.output_tokens += charge.usage.output_tokens;
        self.cost = self.cost.zip(charge.cost).map(|(sum, cost)| sum + cost);
    }
}

/// Waits for the future, or for ever where there is none.
async fn maybe<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Loads and runs a dispatch, then settles it.
pub(crate) async fn run(dispatch: &Dispatch<'_>) -> Result<(), StepError> {
    let queue = crate::run::rows::load(dispatch.context, &dispatch.lease, &dispatch.job).await?;
    let (rows, started) = (queue.len(), tokio::time::Instant::now());
    dispatch.run(queue).await;
    if !dispatch.stop.is_cancelled() {
        dispatch.model.group.note_pace(rows, started.elapsed());
    }
    Ok(())
}
