//! Keeps the worker's leases, one statement for all of them, and notices those that are lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Worker;

/// Runs until it is dropped.
pub(super) async fn run(worker: Arc<Worker>) {
    let lease = worker.context.options.lease;
    let interval = lease / 3;
    let mut kept = Instant::now();
    loop {
        let beat = Instant::now();
        match tokio::time::timeout(interval, prolong(&worker)).await {
            Ok(Ok(())) => kept = beat,
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "heartbeat failed"),
            Err(_) => tracing::warn!("heartbeat took too long"),
        }
        // Nobody may send under a lease that may have run out: while the database was away, or this process was stopped.
        if kept.elapsed() > lease {
            worker.held.stop_dispatches();
        }
        tokio::time::sleep_until(beat + interval.min(Duration::from_secs(10))).await;
    }
}

async fn prolong(worker: &Worker) -> db::Result<()> {
    let lease = worker.context.options.lease;
    let mut tx = worker.context.db.scheduler().await?;
    let before = (worker.held.steps().clone(), worker.held.dispatches().clone());
    let steps = db::steps::heartbeat(&mut tx, worker.id, lease).await?.into_iter().collect();
    let dispatches = db::dispatches::heartbeat(&mut tx, worker.id, lease).await?.into_iter().collect();
    tx.commit().await?;
    worker.held.keep_only(&before, &steps, &dispatches);
    Ok(())
}
