//! Watches the states of the jobs in hand: a job that stands still or ends gets no new call within a second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::JobId;
use domain::job::State;

use super::Worker;

/// Hints come in bursts; one look serves all that came meanwhile.
const DEBOUNCE: Duration = Duration::from_millis(20);

/// Looks when a hint came, and at each poll anyway. Runs until it is dropped.
pub(super) async fn run(worker: Arc<Worker>) {
    loop {
        tokio::select! {
            () = worker.look.notified() => tokio::time::sleep(DEBOUNCE).await,
            () = tokio::time::sleep(worker.context.options.poll) => {}
        }
        if let Err(error) = look(&worker).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the states of jobs could not be read");
        }
    }
}

async fn look(worker: &Worker) -> db::Result<()> {
    let jobs = worker.held.jobs();
    if jobs.is_empty() {
        return Ok(());
    }
    let mut tx = worker.context.db.scheduler().await?;
    let states = db::jobs::control(&mut tx, &jobs).await?;
    tx.commit().await?;
    let may_send: HashMap<JobId, bool> = states
        .into_iter()
        .map(|(job_id, _, state, suspended)| (job_id, state == State::Running && !suspended))
        .collect();
    // A job that is gone may not send either.
    for held in worker.held.dispatches().values() {
        if jobs.contains(&held.job_id) && !may_send.get(&held.job_id).copied().unwrap_or(false) {
            held.stop.cancel();
        }
    }
    Ok(())
}

/// Turns the database's hints into looks and claims. Runs until it is dropped.
pub(super) async fn listen(worker: Arc<Worker>) {
    loop {
        if let Err(error) = hints(&worker).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "no hints for now; polling goes on");
        }
        tokio::time::sleep(worker.context.options.poll).await;
    }
}

async fn hints(worker: &Worker) -> db::Result<()> {
    let mut listener = worker.context.db.listen().await?;
    loop {
        listener.hint().await?;
        worker.look.notify_one();
        worker.wake.notify_one();
    }
}
