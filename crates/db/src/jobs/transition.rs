//! Changes of a job's state, under its row's lock.

use domain::ids::{JobId, TenantId};
use domain::job::{Event, State};

use crate::jobs::read::parse_state;
use crate::{Result, SchedulerTx, TenantTx};

/// Why a job fails, or is paused: a stable code, and words for people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reason<'a> {
    pub code: &'a str,
    pub detail: &'a str,
}

/// Applies an event. `Ok(None)`: the tenant has no such job.
///
/// # Errors
/// [`crate::Error::Transition`] if the job's state does not allow the event.
pub async fn transition(tx: &mut TenantTx, job_id: JobId, event: Event) -> Result<Option<State>> {
    let Some(state) = lock(tx, job_id).await? else { return Ok(None) };
    apply(tx, job_id, state, event, None).await.map(Some)
}

/// Locks the job's row until the transaction ends. Locks are taken in the order job, dispatch or step, chunk.
pub(crate) async fn lock(tx: &mut TenantTx, job_id: JobId) -> Result<Option<State>> {
    let row = sqlx::query!("SELECT state, paused_from FROM jobs WHERE job_id = $1 FOR NO KEY UPDATE", job_id.0)
        .fetch_optional(tx.connection())
        .await?;
    row.map(|row| parse_state(&row.state, row.paused_from.as_deref())).transpose()
}

/// Applies an event to a job that is locked and in `state`.
pub(crate) async fn apply(
    tx: &mut TenantTx,
    job_id: JobId,
    state: State,
    event: Event,
    reason: Option<Reason<'_>>,
) -> Result<State> {
    let next = state.after(event)?;
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "WITH event AS (INSERT INTO events (tenant_id, job_id, state, detail) VALUES ($1, $2, $3, $8))
        UPDATE jobs SET state = $3, paused_from = $4, version = version + 1, not_before = NULL,
            started_at = CASE WHEN $5 THEN coalesce(started_at, now()) ELSE started_at END,
            finished_at = CASE WHEN $6 THEN now() END, failure_code = $7, failure_detail = $8
        WHERE job_id = $2",
        tenant_id.0,
        job_id.0,
        next.name(),
        next.paused_from(),
        event == Event::PlanStarted,
        next.is_terminal(),
        reason.filter(|_| next == State::Failed).map(|reason| reason.code),
        reason.map(|reason| crate::convert::without_nul(reason.detail)),
    )
    .execute(tx.connection())
    .await?;
    forget_what_was_planned(tx, job_id, state, next).await?;
    if matches!(next, State::Cancelling | State::Expiring) {
        crate::seal::fan_out(tx, job_id).await?;
    }
    tx.hint().await?;
    Ok(next)
}

/// Fails a job for good, unless it has ended.
pub async fn fail(tx: &mut TenantTx, job_id: JobId, code: &str, detail: &str) -> Result<()> {
    match lock(tx, job_id).await? {
        Some(state) if !state.is_terminal() => {
            apply(tx, job_id, state, Event::Fail, Some(Reason { code, detail })).await.map(drop)
        }
        Some(_) | None => Ok(()),
    }
}

/// A job that ends before its plan did has no items: its chunks go, and no step of an ended job stays.
async fn forget_what_was_planned(tx: &mut TenantTx, job_id: JobId, before: State, next: State) -> Result<()> {
    if !next.is_terminal() {
        return Ok(());
    }
    sqlx::query!("DELETE FROM job_steps WHERE job_id = $1", job_id.0).execute(tx.connection()).await?;
    let planned = match before {
        State::Queued | State::Planning => false,
        State::Paused(_) => before.paused_from() == Some("running"),
        State::Running
        | State::Merging
        | State::Cancelling
        | State::Expiring
        | State::Completed
        | State::Failed
        | State::Cancelled
        | State::Expired => true,
    };
    if !planned {
        sqlx::query!("DELETE FROM outcomes WHERE job_id = $1", job_id.0).execute(tx.connection()).await?;
        sqlx::query!("DELETE FROM chunks WHERE job_id = $1", job_id.0).execute(tx.connection()).await?;
    }
    Ok(())
}

/// Jobs whose deadline has passed and that still could expire.
pub async fn due(tx: &mut SchedulerTx, limit: i64) -> Result<Vec<(TenantId, JobId)>> {
    let rows = sqlx::query!(
        "SELECT tenant_id, job_id FROM jobs
        WHERE state IN ('queued', 'planning', 'running', 'paused') AND deadline <= now()
        ORDER BY deadline LIMIT $1",
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), JobId(row.job_id))).collect())
}
