//! The batch route: encode → upload → create → poll → download → reconcile, each a short step that any worker may take.
//!
//! A step reads how far the dispatch is, does the next thing, and writes it down. It assumes that whoever was here before died right
//! after its last side effect. Nobody waits here while the provider thinks.

mod collect;
mod commit;
mod duplicates;
mod encode;
mod files;
mod gather;
mod ids;
mod lines;
mod outcomes;
mod submit;
mod validation;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use db::dispatches::DispatchLease;
use db::provider_batches::ProviderBatch;
use domain::failure::Class;
use domain::job::State;
use domain::provider::BatchLimits;
use domain::provider_batch::{InvalidStage, Stage};
use providers::{BatchDriver, CallError};

pub(crate) use self::files::clean;
use crate::job::{Job, Jobs};
use crate::run::place::Place;
use crate::worker::Held;
use crate::{Context, StepError};

/// How long the rows of a job that ends wait for their provider batch.
const LAST_PATIENCE: Duration = Duration::from_mins(15);

/// Tries in a row to collect the results of a job that has failed.
const LAST_TRY: u32 = 8;

/// What follows a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next step, at once.
    Again,
    /// The next step, by any worker, after so long.
    Later(Duration),
    /// The dispatch is gone.
    Gone,
}

/// Why a step did not get to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    #[error(transparent)]
    Step(#[from] StepError),
    /// The provider, or the way to it.
    #[error("the provider: {0}")]
    Call(#[from] CallError),
}

impl From<db::Error> for Halt {
    fn from(error: db::Error) -> Self {
        Self::Step(error.into())
    }
}

/// Somebody else's writes made this step's knowledge stale.
impl From<InvalidStage> for Halt {
    fn from(error: InvalidStage) -> Self {
        Self::Step(StepError::retry("the stage of a provider batch", error))
    }
}

/// What a step works with.
pub(crate) struct Step<'a> {
    pub context: &'a Context,
    pub lease: &'a DispatchLease,
    pub batch: ProviderBatch,
    pub place: Place,
    pub limits: BatchLimits,
    pub driver: Arc<dyn BatchDriver>,
    pub job: Arc<Job>,
    /// A directory on this machine's disk that goes with the step.
    pub spool: &'a Path,
    /// Whether the lease is sure to hold still.
    pub held: &'a Held,
}

/// Takes the next step.
pub(crate) async fn step(
    context: &Context,
    jobs: &Jobs,
    lease: &DispatchLease,
    spool: &Path,
    held: &Held,
) -> Result<Next, Halt> {
    let mut tx = context.db.scheduler().await?;
    let mut batch = db::provider_batches::load(&mut tx, lease).await?;
    let current = db::providers::capability(&mut tx, &lease.model).await?;
    tx.commit().await?;
    // First, because it needs nobody: the rest may fail for as long as the provider is away.
    if batch.owns_rows && batch.ending_for.is_some_and(|ending| ending > LAST_PATIENCE) {
        duplicates::release_rows(context, lease).await?;
        batch.owns_rows = false;
    }
    let place = Place::from_json(batch.place.clone())?;
    let driver = place.connect(context, batch.credential.as_deref(), batch.credential_version).await?;
    let job = jobs.get(context, lease.tenant_id, lease.job_id).await?;
    let limits = place.limits().unwrap_or_default();
    let is_current = current.is_some_and(|current| Place::of(current) == place);
    let step = Step { context, lease, batch, place, limits, driver, job, spool, held };
    match step.batch.stage.clone() {
        // Nothing is at the provider yet: the rows go by the records as they are now, or not at all.
        Stage::Formed | Stage::Uploaded { .. } if !is_current || !step.may_send() => step.dissolve().await,
        Stage::Formed => submit::prepare(&step).await,
        Stage::Uploaded { .. } => submit::create(&step, None).await,
        Stage::Creating { .. } => submit::search(&step).await,
        Stage::Submitted(remote) => watch::watch(&step, remote).await,
        // What can't be stored is lost to a job that has failed.
        Stage::Ended { .. } if step.batch.job_state == State::Failed && step.batch.failures >= LAST_TRY => {
            step.dissolve().await
        }
        Stage::Ended { remote, status, files, errors } => collect::collect(&step, remote, status, files, errors).await,
        Stage::Watching { until, known } => duplicates::watch(&step, until, &known).await,
    }
}

impl Step<'_> {
    /// Whether rows of the job may be sent now.
    fn may_send(&self) -> bool {
        self.batch.job_state == State::Running && !self.batch.suspended && self.batch.owns_rows
    }

    /// Whether the provider should stop working on it.
    fn is_unwanted(&self) -> bool {
        !self.batch.owns_rows
            || match self.batch.job_state {
                // A job is merged when all rows are answered: by somebody else, if this one still runs.
                State::Merging
                | State::Completed
                | State::Cancelling
                | State::Expiring
                | State::Cancelled
                | State::Expired
                | State::Failed => true,
                State::Queued | State::Planning | State::Running | State::Paused(_) => false,
            }
    }

    /// Time since then, by the database's clock.
    fn since(&self, then: DateTime<Utc>) -> Duration {
        (self.batch.now - then).to_std().unwrap_or_default()
    }

    fn after(&self, wait: Duration) -> DateTime<Utc> {
        self.batch.now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX)
    }

    /// The database's clock at this moment; that of the step is of its beginning.
    async fn now(&self) -> Result<DateTime<Utc>, Halt> {
        let mut tx = self.context.db.scheduler().await?;
        let now = db::provider_batches::now(&mut tx).await?;
        tx.commit().await?;
        Ok(now)
    }

    async fn enter(&self, stage: &Stage) -> Result<(), Halt> {
        let mut tx = self.context.db.scheduler().await?;
        db::provider_batches::enter(&mut tx, self.lease, stage).await?;
        Ok(tx.commit().await?)
    }

    /// Its rows are open again, and it is gone, unless something that it made may yet turn up at the provider.
    async fn dissolve(&self) -> Result<Next, Halt> {
        if self.batch.stage.lost() > 0 {
            return duplicates::stop_owning(self, self.batch.stage.clone()).await;
        }
        self.settle().await?;
        Ok(Next::Gone)
    }

    /// Its rows that have no outcome are open again, and it is gone, with what it left at the provider.
    async fn settle(&self) -> Result<(), Halt> {
        let mut tx = self.context.db.tenant(self.lease.tenant_id).await?;
        db::provider_batches::settle(&mut tx, self.lease).await?;
        Ok(tx.commit().await?)
    }
}

/// How long a step that failed waits, and whether that was its own failure.
pub(crate) fn wait_after(context: &Context, halt: &Halt, failures: u32) -> (Duration, bool) {
    let backoff = |asked| context.options.backoff.wait(failures + 1, fastrand::f64(), asked);
    match halt {
        Halt::Step(_) => (backoff(None).max(Duration::from_millis(100)), true),
        Halt::Call(error) => match error.failure.class {
            Class::KeyLevel => (context.options.probe, false),
            Class::Wait => (backoff(error.failure.retry_after).max(context.options.backoff.base), true),
            Class::Transient | Class::Permanent | Class::Refusal | Class::Invalid => {
                (backoff(error.failure.retry_after).max(Duration::from_millis(100)), true)
            }
        },
    }
}
