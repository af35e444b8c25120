//! Runs one leased dispatch, and settles it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use db::dispatches::DispatchLease;
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::held::HeldDispatch;
use super::{Worker, watch};
use crate::StepError;
use crate::run::realtime::{self, Dispatch};

/// How long a dispatch that could not be loaded keeps its rows from being dispatched again.
const LOAD_RETRY: Duration = Duration::from_secs(2);

pub(super) fn spawn(worker: &Arc<Worker>, lease: DispatchLease) {
    let stop = CancellationToken::new();
    let held = HeldDispatch {
        job_id: lease.job_id,
        model: lease.model.clone(),
        epoch: lease.epoch,
        stop: stop.clone(),
        unsent: Arc::new(AtomicUsize::new(0)),
        group: None,
    };
    let unsent = held.unsent.clone();
    worker.held.take_dispatch(lease.dispatch_id, held);
    let worker = worker.clone();
    worker.tasks.clone().spawn(async move {
        let lease = Arc::new(lease);
        // A panic is a bug, and no reason to hold the rows for ever.
        match AssertUnwindSafe(run(&worker, &lease, &stop, unsent)).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => not_loaded(&worker, &lease, &stop, &error).await,
            Err(_) => tracing::error!(dispatch.id = %lease.dispatch_id, "a dispatch panicked"),
        }
        worker.committer.settle(&lease).await;
        if let Err(error) = wake(&worker, &lease).await {
            tracing::debug!(job.id = %lease.job_id, error = &error as &dyn std::error::Error, "the job's other rows wait on");
        }
        worker.held.drop_dispatch(lease.dispatch_id, lease.epoch);
        worker.wake.notify_one();
    });
}

/// Rows that wait for those of this dispatch look again.
async fn wake(worker: &Worker, lease: &DispatchLease) -> db::Result<()> {
    let mut tx = worker.context.db.scheduler().await?;
    db::dispatches::wake(&mut tx, lease.job_id).await?;
    tx.commit().await
}

/// Nothing was sent. A job whose files are damaged can't go on; all else may work a little later.
async fn not_loaded(worker: &Worker, lease: &DispatchLease, stop: &CancellationToken, error: &StepError) {
    tracing::warn!(dispatch.id = %lease.dispatch_id, error = error as &dyn std::error::Error, "a dispatch was not loaded");
    if let StepError::FailJob { code, detail } = error
        && let Err(error) = fail(worker, lease, code, detail).await
    {
        tracing::warn!(job.id = %lease.job_id, error = &error as &dyn std::error::Error, "the job was not failed");
    }
    tokio::select! {
        () = tokio::time::sleep(LOAD_RETRY) => {}
        () = stop.cancelled() => {}
    }
}

async fn fail(worker: &Worker, lease: &DispatchLease, code: &str, detail: &str) -> db::Result<()> {
    let mut tx = worker.context.db.tenant(lease.tenant_id).await?;
    db::jobs::fail(&mut tx, lease.job_id, code, detail).await?;
    tx.commit().await
}

async fn run(
    worker: &Arc<Worker>,
    lease: &Arc<DispatchLease>,
    stop: &CancellationToken,
    unsent: Arc<AtomicUsize>,
) -> Result<(), StepError> {
    // Whoever held it before may have died in a job that was cancelled since.
    if !watch::may_send(worker, lease.job_id).await? {
        return Ok(());
    }
    let job = worker.jobs.get(&worker.context, lease.tenant_id, lease.job_id).await?;
    let model = worker.registry.model(&worker.context, &lease.model).await?;
    if let Some(held) = worker.held.dispatches().get_mut(&lease.dispatch_id) {
        held.group = Some(model.group.clone());
    }
    let dispatch = Dispatch {
        context: &worker.context,
        lease: lease.clone(),
        job,
        model,
        committer: &worker.committer,
        stop: stop.clone(),
        abort: worker.abort.clone(),
        unsent,
        wake: &worker.wake,
        held: &worker.held,
    };
    realtime::run(&dispatch).await
}
