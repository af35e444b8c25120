//! Watches the states of the jobs in hand: a job that stands still or ends gets no new call within a second.

use std::collections::HashSet;
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
    let may_send = running(worker, &jobs).await?;
    // A job that is gone may not send either.
    for held in worker.held.dispatches().values() {
        if jobs.contains(&held.job_id) && !may_send.contains(&held.job_id) {
            held.stop.cancel();
        }
    }
    Ok(())
}

/// Whether rows of a job may be sent now.
pub(super) async fn may_send(worker: &Worker, job_id: JobId) -> db::Result<bool> {
    Ok(running(worker, &[job_id]).await?.contains(&job_id))
}

async fn running(worker: &Worker, jobs: &[JobId]) -> db::Result<HashSet<JobId>> {
    let mut tx = worker.context.db.scheduler().await?;
    let states = db::jobs::control(&mut tx, jobs).await?;
    tx.commit().await?;
    let running = states.into_iter().filter(|(_, _, state, suspended)| *state == State::Running && !suspended);
    Ok(running.map(|(job_id, ..)| job_id).collect())
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
