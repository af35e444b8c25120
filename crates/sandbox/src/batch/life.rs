//! The life of one provider batch, from its creation to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::outcome::Outcome;
use super::queue::Reserved;
use super::record::{ProviderBatch, share};
use super::run::{Done, Work, run};
use super::validate::{Index, validate};
use super::view::{Problem, Results, Stage};
use super::webhook::Event;
use super::wire::RowKind;
use crate::clock::Moment;
use crate::log;
use crate::state::Sandbox;

/// A provider batch and the sandbox that it lives in.
pub(super) struct Life {
    pub sandbox: Arc<Sandbox>,
    pub batch: Arc<ProviderBatch>,
}

/// How a life ends.
#[derive(Clone, Copy)]
struct Ending {
    stage: Stage,
    /// The share of the requests that are answered.
    fraction: f64,
    /// What is said of the others.
    rest: RowKind<'static>,
}

impl Ending {
    const COMPLETED: Self = Self { stage: Stage::Completed, fraction: 1.0, rest: RowKind::Null };

    fn expired(fraction: f64) -> Self {
        Self { stage: Stage::Expired, fraction, rest: RowKind::Expired }
    }

    fn cancelled(fraction: f64) -> Self {
        Self { stage: Stage::Cancelled, fraction, rest: RowKind::Cancelled }
    }
}

impl Life {
    /// Lives it; the index is there where the creation has validated already.
    pub async fn live(self, checked: Option<(Index, Reserved)>) {
        if let Err(error) = self.try_live(checked).await {
            if error.kind() == io::ErrorKind::Interrupted {
                return;
            }
            self.broken(&error);
        }
        self.tell().await;
    }

    async fn try_live(&self, checked: Option<(Index, Reserved)>) -> io::Result<()> {
        let (checked, reserved) = match checked {
            Some((index, reserved)) => (Ok(index), Some(reserved)),
            None => (self.check().await?, None),
        };
        if let Ok(index) = &checked {
            self.measured(index)?;
        }
        if self.batch.has_outcome(Outcome::StuckValidating) {
            self.batch.cancel_asked().await;
        } else {
            self.wait(Duration::from_millis(self.sandbox.config().batch.validating_ms)).await;
        }
        let index = match checked {
            Ok(index) => Arc::new(index),
            Err(problems) => return self.end(Stage::Failed, Done::default(), problems),
        };
        if self.batch.has_outcome(Outcome::FailInternal) {
            let message = "the sandbox was told to break down".to_owned();
            let problem = Problem { code: "server_error", message, param: None, line: None };
            return self.end(Stage::Failed, Done::default(), vec![problem]);
        }
        let told = self.batch.has_outcome(Outcome::FailTokenLimit);
        let reserved = reserved.or_else(|| Reserved::new(&self.sandbox, &self.batch, &index)).filter(|_| !told);
        match reserved {
            Some(reserved) => self.run_and_end(&index, reserved).await,
            None => self.end(Stage::Failed, Done::default(), vec![self.token_limit(&index)]),
        }
    }

    /// The validation has found the input valid.
    fn measured(&self, index: &Index) -> io::Result<()> {
        let (requests, tokens) = (index.len() as u64, index.tokens);
        self.batch.measured(index.model.clone(), requests, tokens);
        let id = self.batch.id.as_str().into();
        self.sandbox.append(&log::BatchValidated { batch_validated: id, at_ms: self.now().unix_ms, requests, tokens })
    }

    /// Looks at all requests.
    pub async fn check(&self) -> io::Result<Result<Index, Vec<Problem>>> {
        if self.batch.has_outcome(Outcome::FailValidation) {
            return Ok(Err(vec![Problem::invalid_json(1, "the sandbox was told to say so")]));
        }
        let (sandbox, batch) = (Arc::clone(&self.sandbox), Arc::clone(&self.batch));
        self.sandbox.batches.work(move || validate(&sandbox, &sandbox.config(), &batch)).await
    }

    fn token_limit(&self, index: &Index) -> Problem {
        let limit = self.sandbox.config().batch.max_enqueued_tokens.unwrap_or(index.tokens);
        let model = index.model.as_deref().unwrap_or_default();
        let message = format!(
            "Enqueued token limit reached for {model} in organization sandbox. Limit: {limit} enqueued tokens. Please \
             try again once some provider batches have ended."
        );
        Problem { code: "token_limit_exceeded", message, param: None, line: None }
    }

    async fn run_and_end(&self, index: &Arc<Index>, reserved: Reserved) -> io::Result<()> {
        let mut ending = self.ending().await;
        if ending.stage == Stage::Completed && !self.batch.advance(Stage::Finalizing, self.now().unix_ms) {
            ending = Ending::cancelled(ending.fraction);
        }
        if self.batch.stage() == Stage::Cancelling {
            let more = Duration::from_millis(self.sandbox.config().batch.cancel_ms);
            tokio::time::sleep(more).await;
        }
        let has_results = ending.stage != Stage::Expired || self.batch.wire.rules().expired_has_results;
        let mut done = if has_results { self.answer(index, ending).await? } else { Done::default() };
        if self.batch.has_outcome(Outcome::NoOutputFile) {
            done.results.output = None;
        }
        let expires = ending.stage == Stage::Completed && done.expired > 0;
        let stage = if expires { Stage::Expired } else { ending.stage };
        if expires && !self.batch.wire.rules().expired_has_results {
            done = Done::default();
        }
        drop(reserved);
        self.end(stage, done, Vec::new())
    }

    /// Waits for whatever comes first: completion, expiry or cancellation.
    async fn ending(&self) -> Ending {
        let batch = &self.batch;
        if !batch.advance(Stage::Running, self.now().unix_ms) {
            return Ending::cancelled(0.0);
        }
        if batch.has_outcome(Outcome::StuckRunning) || batch.has_outcome(Outcome::Lost) {
            batch.cancel_asked().await;
            return Ending::cancelled(batch.done_fraction(self.now().instant));
        }
        let in_time = batch.window.is_none_or(|window| batch.complete <= window);
        let until = batch.window.filter(|_| !in_time).unwrap_or(batch.complete);
        if !self.wait(until).await {
            return Ending::cancelled(batch.done_fraction(self.now().instant));
        }
        match batch.outcome {
            Some((Outcome::Expire, fraction)) => Ending::expired(fraction),
            Some((Outcome::Cancel, fraction)) => Ending::cancelled(fraction),
            _ if in_time => Ending::COMPLETED,
            _ => Ending::expired(batch.done_fraction(batch.created.instant + until)),
        }
    }

    async fn answer(&self, index: &Arc<Index>, ending: Ending) -> io::Result<Done> {
        let (sandbox, batch, index) = (Arc::clone(&self.sandbox), Arc::clone(&self.batch), Arc::clone(index));
        let work = move || {
            run(&Work {
                sandbox: &sandbox,
                config: &sandbox.config(),
                batch: &batch,
                index: &index,
                done: usize::try_from(share(ending.fraction, index.len() as u64)).unwrap_or(usize::MAX),
                rest: ending.rest,
                errors_only: batch.has_outcome(Outcome::ErrorsOnly),
                completes: ending.stage == Stage::Completed,
            })
        };
        self.sandbox.batches.work(work).await
    }

    /// Something went wrong that was not asked for.
    fn broken(&self, error: &io::Error) {
        tracing::error!(%error, batch.id = self.batch.id, "a provider batch of the sandbox broke");
        let problem = Problem { code: "server_error", message: error.to_string(), param: None, line: None };
        if self.end(Stage::Failed, Done::default(), vec![problem.clone()]).is_err() {
            self.batch.end(Stage::Failed, self.now().unix_ms, Results::default(), vec![problem]);
        }
    }

    /// Logs the end and gives up the place in the queue before anybody can see it.
    fn end(&self, stage: Stage, done: Done, problems: Vec<Problem>) -> io::Result<()> {
        let at_ms = self.now().unix_ms;
        let Done { results, billed_again, .. } = done;
        self.sandbox.append(&log::BatchEnded {
            batch_ended: self.batch.id.as_str().into(),
            at_ms,
            status: stage.name().into(),
            completed: results.completed,
            failed: results.failed,
            billed: results.billed,
            billed_prompt_tokens: results.prompt_tokens,
            billed_completion_tokens: results.completion_tokens,
            billed_again,
        })?;
        self.sandbox.batches.queue.leave((self.batch.wire.family(), &self.batch.key));
        self.batch.end(stage, at_ms, results, problems);
        Ok(())
    }

    /// Sends the webhook, where there is one.
    async fn tell(&self) {
        let Some(webhook) = self.sandbox.config().batch.webhook.clone() else {
            return;
        };
        let (id, unix_s) = (format!("evt_{}", self.sandbox.batches.ids.next().hex()), self.now().unix_ms / 1000);
        if let Some(body) = self.batch.wire.event(&self.batch, &id, unix_s) {
            webhook.send(&Event { id, unix_s, body }).await;
        }
    }

    /// Until so long after the creation; false where somebody asks to cancel it first.
    async fn wait(&self, after: Duration) -> bool {
        let until = tokio::time::Instant::from_std(self.batch.created.instant + after);
        tokio::select! {
            biased;
            () = self.batch.cancel_asked() => false,
            () = tokio::time::sleep_until(until) => true,
        }
    }

    fn now(&self) -> Moment {
        self.sandbox.clock.now()
    }
}
