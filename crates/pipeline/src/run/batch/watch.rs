//! Watch: looks how a provider batch stands, and asks it to stop where it is unwanted or stuck.

use std::time::Duration;

use db::remote_objects::Kind;
use domain::provider_batch::{Remote, RemoteStatus, ResultFiles, Stage};
use providers::Polled;

use super::{Halt, Next, Step, duplicates};

/// What still has not ended so long after it was asked to stop is given up.
const GIVEN_UP: Duration = Duration::from_hours(72);
/// A new one may be unknown to a reading call for so long.
const READ_LAG: Duration = Duration::from_mins(1);
/// Polls in a row that must miss it before it counts as lost: with backoff, some minutes.
const LAST_MISS: u32 = 8;

/// Submitted.
pub(super) async fn watch(step: &Step<'_>, remote: Remote) -> Result<Next, Halt> {
    let leave_alone = remote.unconfirmed && !step.batch.owns_rows;
    if remote.cancel_asked.is_none() && step.is_unwanted() && !leave_alone {
        return stop(step, &remote).await;
    }
    let polled = match step.driver.poll(&remote.id).await {
        Ok(polled) => polled,
        // A new one may be unknown to a reading call for a while, and an old one may be missed by one server of many.
        Err(error)
            if error.missing
                && step.batch.failures >= LAST_MISS
                && step.since(remote.since) > READ_LAG.min(step.limits.window()) =>
        {
            Polled { status: RemoteStatus::Lost, files: ResultFiles::default(), errors: Vec::new(), done: None }
        }
        Err(_) if remote.cancel_asked.is_none() && is_overdue(step, &remote) => return stop(step, &remote).await,
        Err(_) if remote.cancel_asked.is_some_and(|asked| step.since(asked) > GIVEN_UP) => {
            return step.dissolve().await;
        }
        Err(error) => return Err(error.into()),
    };
    if polled.status.is_terminal() {
        return ended(step, &remote, polled).await;
    }
    let mut tx = step.context.db.scheduler().await?;
    db::provider_batches::note_poll(&mut tx, step.lease, polled.status, polled.done).await?;
    tx.commit().await?;
    if polled.status == RemoteStatus::Unknown {
        tracing::warn!(dispatch.id = %step.lease.dispatch_id, remote_id = remote.id, "the provider uses a status that is not known");
    }
    if remote.lost > 0 {
        duplicates::look(step, &remote.known, Some(&remote.id), remote.since).await?;
    }
    match remote.cancel_asked {
        None if is_stuck(step, &remote, polled.status) => {
            tracing::warn!(dispatch.id = %step.lease.dispatch_id, remote_id = remote.id, status = %polled.status, "a provider batch is stuck");
            step.context.metrics.stuck.inc();
            stop(step, &remote).await
        }
        Some(asked) if step.since(asked) > GIVEN_UP => step.dissolve().await,
        // Asked in vain: the call may have been lost.
        Some(_) if matches!(polled.status, RemoteStatus::Queued | RemoteStatus::Running) => {
            step.driver.cancel(&remote.id).await?;
            Ok(Next::Later(interval(step, &remote)))
        }
        None | Some(_) => Ok(Next::Later(interval(step, &remote))),
    }
}

/// Past its window without an end, or without a beginning for long.
fn is_stuck(step: &Step<'_>, remote: &Remote, status: RemoteStatus) -> bool {
    let window = step.limits.window();
    let waits_for_long = match status {
        RemoteStatus::Queued => step.since(step.batch.progress_at) > window / 4 + step.limits.poll_interval(),
        RemoteStatus::Running
        | RemoteStatus::Finishing
        | RemoteStatus::Cancelling
        | RemoteStatus::Unknown
        | RemoteStatus::Done
        | RemoteStatus::Failed
        | RemoteStatus::Expired
        | RemoteStatus::Cancelled
        | RemoteStatus::Lost => false,
    };
    waits_for_long || is_overdue(step, remote)
}

/// Past its window, with some slack for the provider's clock.
fn is_overdue(step: &Step<'_>, remote: &Remote) -> bool {
    let window = step.limits.window();
    step.since(remote.since) > window + window / 24 + step.limits.poll_interval()
}

/// Until the next look: often while it is young, with jitter, and never more often than the provider wants.
fn interval(step: &Step<'_>, remote: &Remote) -> Duration {
    let begun = remote.cancel_asked.unwrap_or(remote.since);
    let least = Duration::from_secs(step.driver.habits().least_poll_s.into());
    let wait = (step.since(begun) / 4).clamp(Duration::from_secs(1), step.limits.poll_interval()).max(least);
    wait.mul_f64(1.0 + fastrand::f64() / 5.0)
}

/// Asks it to stop. One that may be somebody else's is left alone: only its rows stop waiting for it.
async fn stop(step: &Step<'_>, remote: &Remote) -> Result<Next, Halt> {
    if remote.unconfirmed {
        if step.batch.owns_rows {
            duplicates::release_rows(step.context, step.lease).await?;
        }
        return Ok(Next::Later(step.limits.poll_interval()));
    }
    let stage = Stage::Submitted(remote.clone()).cancel_asked(step.batch.now)?;
    step.enter(&stage).await?;
    tracing::info!(dispatch.id = %step.lease.dispatch_id, remote_id = remote.id, "a provider batch is asked to stop");
    match step.driver.cancel(&remote.id).await {
        // The next look tells.
        Err(error) if !error.missing => Err(error.into()),
        Ok(()) | Err(_) => Ok(Next::Later(Duration::from_secs(step.driver.habits().least_poll_s.max(1).into()))),
    }
}

async fn ended(step: &Step<'_>, remote: &Remote, polled: Polled) -> Result<Next, Halt> {
    let Polled { status, files, errors, .. } = polled;
    let stage = step.batch.stage.clone().ended(status, files.clone(), errors)?;
    let mut tx = step.context.db.scheduler().await?;
    // The group's lock before the dispatch's, as whoever reserves takes them.
    if status == RemoteStatus::Done {
        db::provider_batches::note_done(&mut tx, &step.batch.limit_group, step.since(remote.since)).await?;
    }
    db::provider_batches::note_poll(&mut tx, step.lease, status, None).await?;
    for file in [&files.output, &files.errors].into_iter().flatten() {
        db::remote_objects::note(&mut tx, step.lease, Kind::Results, file, Some(file)).await?;
    }
    db::provider_batches::enter(&mut tx, step.lease, &stage).await?;
    tx.commit().await?;
    step.context.metrics.ended(status);
    tracing::info!(job.id = %step.lease.job_id, dispatch.id = %step.lease.dispatch_id, remote_id = remote.id, %status, "provider batch ended");
    Ok(Next::Again)
}
