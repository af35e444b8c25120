//! One provider batch: what it was created with, and how far it has come.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::files::StoredFile;
use super::outcome::Outcome;
use super::view::{Problem, Results, Stage, Times, View};
use super::wire::Wire;
use crate::clock::Moment;

/// A provider batch.
pub(crate) struct ProviderBatch {
    pub id: String,
    /// Greater than those of all provider batches before.
    pub number: u64,
    pub wire: &'static dyn Wire,
    /// The bearer that created it.
    pub key: String,
    pub input: Arc<StoredFile>,
    pub endpoint: String,
    /// The model that the creation names, where the family does that.
    pub model: Option<String>,
    /// What only the family reads.
    pub details: serde_json::Value,
    pub created: Moment,
    /// From the creation to the expiry. None: never.
    pub window: Option<Duration>,
    /// From the creation to the end, where nothing comes between.
    pub complete: Duration,
    /// What becomes of it, and the share of requests that are done then.
    pub outcome: Option<(Outcome, f64)>,
    state: Mutex<State>,
    cancel: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    model: Option<String>,
    /// Known from the validation on.
    total: u64,
    tokens: u64,
    times: Times,
    problems: Vec<Problem>,
    results: Results,
    polls: u32,
    last_poll: Option<Instant>,
}

/// What a provider batch is created with.
pub(crate) struct Facts {
    pub id: String,
    pub number: u64,
    pub wire: &'static dyn Wire,
    pub key: String,
    pub input: Arc<StoredFile>,
    pub endpoint: String,
    pub model: Option<String>,
    pub details: serde_json::Value,
    pub created: Moment,
    pub window: Option<Duration>,
    pub complete: Duration,
    pub outcome: Option<(Outcome, f64)>,
}

impl ProviderBatch {
    pub fn new(facts: Facts) -> Self {
        let state = State {
            stage: Stage::Validating,
            model: facts.model.clone(),
            total: 0,
            tokens: 0,
            times: Times::default(),
            problems: Vec::new(),
            results: Results::default(),
            polls: 0,
            last_poll: None,
        };
        Self {
            id: facts.id,
            number: facts.number,
            wire: facts.wire,
            key: facts.key,
            input: facts.input,
            endpoint: facts.endpoint,
            model: facts.model,
            details: facts.details,
            created: facts.created,
            window: facts.window,
            complete: facts.complete,
            outcome: facts.outcome,
            state: Mutex::new(state),
            cancel: watch::Sender::new(false),
        }
    }

    pub fn stage(&self) -> Stage {
        self.state().stage
    }

    /// Requests and their prompt tokens, as far as the validation has told.
    pub fn size(&self) -> (u64, u64) {
        let state = self.state();
        (state.total, state.tokens)
    }

    /// As a client sees it at `now`.
    pub fn view(&self, now: Instant) -> View {
        let state = self.state();
        let mut view = View {
            stage: state.stage,
            model: state.model.clone(),
            times: state.times,
            total: state.total,
            completed: state.results.completed,
            failed: state.results.failed,
            problems: state.problems.clone(),
            results: state.results.clone(),
        };
        if let Some(pretended) = self.pretended(state.polls) {
            view.stage = pretended;
            view.times.finalizing = None;
            view.times.ended = None;
            view.results = Results::default();
        }
        if view.stage != state.stage || matches!(state.stage, Stage::Running | Stage::Cancelling) {
            view.completed = share(self.done_fraction(now), view.total);
            view.failed = 0;
        }
        view
    }

    /// Counts a poll, and says how long ago the last one was.
    pub fn polled(&self, now: Instant) -> Option<Duration> {
        let mut state = self.state();
        state.polls = state.polls.saturating_add(1);
        let last = state.last_poll.replace(now);
        last.map(|last| now.saturating_duration_since(last))
    }

    /// Whether it has vanished.
    pub fn is_lost(&self) -> bool {
        self.has_outcome(Outcome::Lost) && self.state().polls > 1
    }

    pub fn has_outcome(&self, outcome: Outcome) -> bool {
        self.outcome.is_some_and(|(own, _)| own == outcome)
    }

    /// The share of its requests that are done at `now`, while it runs.
    pub fn done_fraction(&self, now: Instant) -> f64 {
        if let Some((Outcome::Expire | Outcome::Cancel | Outcome::StuckRunning, fraction)) = self.outcome {
            return fraction;
        }
        let elapsed = now.saturating_duration_since(self.created.instant);
        if elapsed >= self.complete { 1.0 } else { elapsed.as_secs_f64() / self.complete.as_secs_f64() }
    }

    /// Asks for its end. Says whether that is any use: not where it has ended already, or is about to.
    pub fn ask_to_cancel(&self, unix_ms: u64) -> bool {
        let mut state = self.state();
        if !matches!(state.stage, Stage::Validating | Stage::Running) {
            return state.stage == Stage::Cancelling;
        }
        state.stage = Stage::Cancelling;
        state.times.cancelling = Some(unix_ms);
        self.cancel.send_replace(true);
        true
    }

    /// Until somebody asks to cancel it.
    pub async fn cancel_asked(&self) {
        // The sender is part of this, so it cannot be gone.
        let _ = self.cancel.subscribe().wait_for(|asked| *asked).await;
    }

    /// The validation is over.
    pub(super) fn measured(&self, model: Option<String>, total: u64, tokens: u64) {
        let mut state = self.state();
        state.model = model.or(state.model.take());
        state.total = total;
        state.tokens = tokens;
    }

    /// Goes on to the next stage, unless somebody has asked to cancel it.
    pub(super) fn advance(&self, stage: Stage, unix_ms: u64) -> bool {
        let mut own = self.state();
        if own.stage == Stage::Cancelling {
            return false;
        }
        own.stage = stage;
        match stage {
            Stage::Running => own.times.running = Some(unix_ms),
            Stage::Finalizing => own.times.finalizing = Some(unix_ms),
            _ => {}
        }
        true
    }

    /// The last step.
    pub(super) fn end(&self, stage: Stage, unix_ms: u64, results: Results, problems: Vec<Problem>) {
        let mut own = self.state();
        own.stage = stage;
        own.times.ended = Some(unix_ms);
        own.results = results;
        own.problems = problems;
    }

    /// The stage that the first polls see instead of the true one.
    fn pretended(&self, polls: u32) -> Option<Stage> {
        match (self.outcome?.0, polls) {
            (Outcome::Backwards, 0 | 2) => Some(Stage::Validating),
            (Outcome::Backwards, 1 | 3) => Some(Stage::Running),
            (Outcome::UnknownStatus, 0) => Some(Stage::Validating),
            (Outcome::UnknownStatus, 1 | 2) => Some(Stage::Unknown),
            _ => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That share of `total`, rounded down.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a provider batch has far fewer than 2^52 requests, and the fraction is from 0 to 1"
)]
pub(super) fn share(fraction: f64, total: u64) -> u64 {
    (fraction * total as f64) as u64
}
