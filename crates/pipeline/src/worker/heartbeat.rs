//! Keeps the worker's leases, one statement for all of them, and notices those that are lost.

use std::sync::Arc;

use tokio::time::Instant;

use super::Worker;

/// Runs until it is dropped.
pub(super) async fn run(worker: Arc<Worker>) {
    let interval = worker.context.options.lease / 3;
    loop {
        let beat = Instant::now();
        match tokio::time::timeout(interval, prolong(&worker, beat)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "heartbeat failed"),
            Err(_) => tracing::warn!("heartbeat took too long"),
        }
        tokio::time::sleep_until(beat + interval).await;
    }
}

async fn prolong(worker: &Worker, beat: Instant) -> db::Result<()> {
    let lease = worker.context.options.lease;
    let mut tx = worker.context.db.scheduler().await?;
    let before = worker.held.all();
    let steps: Vec<_> = before.steps.keys().copied().collect();
    let dispatches: Vec<_> = before.dispatches.keys().chain(before.provider_batches.keys()).copied().collect();
    let steps = db::steps::heartbeat(&mut tx, worker.id, &steps, lease).await?.into_iter().collect();
    let dispatches = db::dispatches::heartbeat(&mut tx, worker.id, &dispatches, lease).await?.into_iter().collect();
    tx.commit().await?;
    let lost = worker.held.keep_only(&before, &steps, &dispatches);
    worker.context.metrics.lost_leases.inc_by(lost);
    worker.held.prolong(beat, lease);
    Ok(())
}
