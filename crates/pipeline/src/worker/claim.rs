//! The claim loop: takes as much work as there are free slots.

use std::sync::Arc;
use std::time::Duration;

use db::dispatches::DispatchLease;
use db::steps::StepLease;
use domain::route::Route;

use super::{Worker, dispatch, provider_batch, step};
use crate::run::form::{Formed, Former};

/// Claims until the worker is told to stop.
pub(super) async fn run(worker: &Arc<Worker>) {
    while !worker.stop.is_cancelled() {
        // A claim that is cut off here leaves a lease that runs out by itself.
        let claimed = tokio::select! {
            claimed = claim(worker) => claimed,
            () = worker.stop.cancelled() => return,
        };
        let found = match claimed {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no work could be claimed");
                false
            }
        };
        if found {
            continue;
        }
        tokio::select! {
            () = worker.stop.cancelled() => {}
            () = worker.wake.notified() => {}
            // Polling is the truth; with jitter, so that workers which started together don't stay together.
            () = tokio::time::sleep(jittered(worker.context.options.poll)) => {}
        }
    }
}

fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.75 + fastrand::f64() / 2.0)
}

/// Returns whether anything was claimed.
async fn claim(worker: &Arc<Worker>) -> db::Result<bool> {
    // Leases of this worker that may have run out are the heartbeat's to prolong, before they look free to it.
    if !worker.held.are_valid() {
        return Ok(false);
    }
    let mut found = false;
    for lease in claim_steps(worker).await? {
        step::spawn(worker, lease);
        found = true;
    }
    for lease in claim_provider_batches(worker).await? {
        provider_batch::spawn(worker, lease);
        found = true;
    }
    if has_room(worker)
        && let Some(lease) = claim_dispatch(worker).await?
    {
        dispatch::spawn(worker, lease);
        found = true;
    }
    Ok(form(worker).await? || found)
}

/// Room for another real-time dispatch.
fn has_room(worker: &Worker) -> bool {
    worker.held.dispatches().len() < worker.context.options.dispatches
}

async fn claim_steps(worker: &Worker) -> db::Result<Vec<StepLease>> {
    let free = worker.context.options.steps.saturating_sub(worker.held.steps().len());
    let Ok(limit @ 1..) = i64::try_from(free) else { return Ok(Vec::new()) };
    let mut tx = worker.context.db.scheduler().await?;
    let leases = db::steps::claim(&mut tx, worker.id, worker.context.options.lease, limit).await?;
    tx.commit().await?;
    Ok(leases)
}

/// Provider batches whose next step is due.
async fn claim_provider_batches(worker: &Worker) -> db::Result<Vec<DispatchLease>> {
    let free = worker.context.options.provider_batches.saturating_sub(worker.held.provider_batches().len());
    let Ok(limit @ 1..) = i64::try_from(free) else { return Ok(Vec::new()) };
    let mut tx = worker.context.db.scheduler().await?;
    let leases = db::dispatches::claim(&mut tx, worker.id, worker.context.options.lease, Route::Batch, limit).await?;
    tx.commit().await?;
    Ok(leases)
}

/// A real-time dispatch whose holder is gone.
async fn claim_dispatch(worker: &Worker) -> db::Result<Option<DispatchLease>> {
    let mut tx = worker.context.db.scheduler().await?;
    let claimed =
        db::dispatches::claim(&mut tx, worker.id, worker.context.options.lease, Route::Realtime, 1).await?.pop();
    tx.commit().await?;
    Ok(claimed)
}

/// Forms a new dispatch. Returns whether there was one to form.
async fn form(worker: &Arc<Worker>) -> db::Result<bool> {
    let former = Former {
        context: &worker.context,
        jobs: &worker.jobs,
        registry: &worker.registry,
        worker: worker.id,
        saturated: worker.held.saturated(worker.context.options.dispatches),
        is_full: !has_room(worker),
    };
    match former.form().await {
        Ok(Formed::Realtime(lease)) => {
            dispatch::spawn(worker, lease);
            Ok(true)
        }
        Ok(Formed::Batch) => Ok(true),
        Ok(Formed::Nothing) => Ok(false),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "no dispatch could be formed");
            Ok(false)
        }
    }
}
