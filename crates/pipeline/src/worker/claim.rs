//! The claim loop: takes as much work as there are free slots.

use std::sync::Arc;
use std::time::Duration;

use db::dispatches::DispatchLease;
use db::steps::StepLease;

use super::{Worker, dispatch, step};

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
    if worker.held.dispatches().len() < worker.context.options.dispatches
        && let Some(lease) = claim_dispatch(worker).await?
    {
        dispatch::spawn(worker, lease);
        found = true;
    }
    Ok(found)
}

async fn claim_steps(worker: &Worker) -> db::Result<Vec<StepLease>> {
    let free = worker.context.options.steps.saturating_sub(worker.held.steps().len());
    let Ok(limit @ 1..) = i64::try_from(free) else { return Ok(Vec::new()) };
    let mut tx = worker.context.db.scheduler().await?;
    let leases = db::steps::claim(&mut tx, worker.id, worker.context.options.lease, limit).await?;
    tx.commit().await?;
    Ok(leases)
}

/// A dispatch whose holder is gone, else a new one.
async fn claim_dispatch(worker: &Worker) -> db::Result<Option<DispatchLease>> {
    let lease = worker.context.options.lease;
    let saturated = worker.held.saturated(worker.context.options.dispatches);
    let mut tx = worker.context.db.scheduler().await?;
    let mut claimed = db::dispatches::claim(&mut tx, worker.id, lease, 1).await?.pop();
    if claimed.is_none() {
        let rows = |model: &domain::provider::ModelName, open: usize| {
            let pace = worker.registry.known(model).map_or(FIRST_ROWS, |model| model.group.dispatch_rows());
            open.min(pace)
        };
        claimed = db::dispatches::form(&mut tx, worker.id, lease, &saturated, rows).await?;
    }
    tx.commit().await?;
    Ok(claimed)
}

/// Rows of the first dispatch to a model whose pace is not known yet.
const FIRST_ROWS: usize = 64;
