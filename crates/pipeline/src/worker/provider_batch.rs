//! Runs steps of one leased provider batch, and hands it back with the time of the next.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use db::dispatches::DispatchLease;
use db::limit_groups::Pause;
use domain::failure::Class;
use domain::provider::LimitGroup;
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::held::HeldStep;
use crate::StepError;
use crate::run::batch::{self, Halt, Next};

pub(super) fn spawn(worker: &Arc<Worker>, lease: DispatchLease) {
    let lost = CancellationToken::new();
    worker.held.take_provider_batch(lease.dispatch_id, HeldStep { epoch: lease.epoch, lost: lost.clone() });
    let worker = worker.clone();
    worker.tasks.clone().spawn(async move {
        let result = tokio::select! {
            result = AssertUnwindSafe(run(&worker, &lease)).catch_unwind() => result.unwrap_or_else(|_| Err(panicked())),
            // The lease is lost or the process stops: whoever comes next goes on from what is written down.
            () = lost.cancelled() => Ok(Next::Later(Duration::ZERO)),
        };
        if let Err(error) = end(&worker, &lease, result).await {
            tracing::warn!(dispatch.id = %lease.dispatch_id, error = &error as &dyn std::error::Error, "a provider batch was not handed back");
        }
        worker.held.drop_provider_batch(lease.dispatch_id, lease.epoch);
        worker.wake.notify_one();
    });
}

/// A panic is a bug; the step is tried again, after a wait.
fn panicked() -> Halt {
    StepError::Retry { what: "a step of a provider batch panicked".to_owned(), source: None }.into()
}

/// Steps until the next one is to come later.
async fn run(worker: &Worker, lease: &DispatchLease) -> Result<Next, Halt> {
    let spool = tempfile::Builder::new()
        .prefix("gristmill-")
        .tempdir()
        .map_err(|error| StepError::retry("the spool directory", error))?;
    loop {
        match batch::step(&worker.context, &worker.jobs, lease, spool.path(), &worker.held).await? {
            Next::Again => {}
            next @ (Next::Later(_) | Next::Gone) => return Ok(next),
        }
    }
}

async fn end(worker: &Worker, lease: &DispatchLease, result: Result<Next, Halt>) -> db::Result<()> {
    let handed_back = match result {
        Ok(Next::Gone) => return Ok(()),
        Ok(Next::Again) => hand_back(worker, lease, Duration::ZERO).await,
        Ok(Next::Later(delay)) => hand_back(worker, lease, delay).await,
        Err(Halt::Step(StepError::Lost)) => Err(db::Error::Fenced),
        Err(halt) => {
            if let Halt::Step(StepError::FailJob { code, detail }) = &halt {
                tracing::info!(job.id = %lease.job_id, code, "the job failed");
                let mut tx = worker.context.db.tenant(lease.tenant_id).await?;
                db::jobs::fail(&mut tx, lease.job_id, code, detail).await?;
                tx.commit().await?;
            }
            stopped(worker, lease, &halt).await
        }
    };
    match handed_back {
        Err(db::Error::Fenced) => {
            worker.context.metrics.fenced.inc();
            Ok(())
        }
        other => other,
    }
}

async fn hand_back(worker: &Worker, lease: &DispatchLease, delay: Duration) -> db::Result<()> {
    let mut tx = worker.context.db.scheduler().await?;
    db::provider_batches::hand_back(&mut tx, lease, delay, None).await?;
    tx.commit().await
}

/// A step that may do better later.
async fn stopped(worker: &Worker, lease: &DispatchLease, halt: &Halt) -> db::Result<()> {
    let mut tx = worker.context.db.scheduler().await?;
    let batch = db::provider_batches::load(&mut tx, lease).await?;
    if let Halt::Call(error) = halt
        && error.failure.class == Class::KeyLevel
    {
        // The group's lock before the dispatch's, as whoever reserves takes them.
        let pause = Pause { code: error.failure.error.code.clone(), detail: error.failure.error.message.clone() };
        db::limit_groups::set_pause(&mut tx, &LimitGroup(batch.limit_group.clone()), Some(&pause)).await?;
        if db::provider_batches::renew_credential(&mut tx, lease).await? {
            db::limit_groups::resume(&mut tx, &batch.limit_group).await?;
            db::provider_batches::hand_back(&mut tx, lease, Duration::ZERO, None).await?;
            return tx.commit().await;
        }
    }
    let (wait, counts) = batch::wait_after(&worker.context, halt, batch.failures);
    tracing::warn!(job.id = %lease.job_id, dispatch.id = %lease.dispatch_id, stage = batch.stage.name(), error = halt as &dyn std::error::Error, "{halt}; it will be tried again");
    let words = halt.to_string();
    db::provider_batches::hand_back(&mut tx, lease, wait, counts.then_some(words.as_str())).await?;
    tx.commit().await
}
