//! Leased steps of jobs: claim, keep, hand back.

use std::time::Duration;

use domain::ids::{JobId, StepId, TenantId, WorkerId};
use domain::step::Kind;
use uuid::Uuid;

use crate::convert::to_u32;
use crate::{Error, Result, SchedulerTx, TenantTx};

/// A step held by a worker. Writes for it name the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepLease {
    pub step_id: StepId,
    pub tenant_id: TenantId,
    pub job_id: JobId,
    pub kind: Kind,
    pub epoch: i32,
    /// Tries in a row that ended in an error.
    pub failures: u32,
}

/// Claims up to `limit` steps that nobody holds, longest waiting first. A step that prepares sending (plan) is left alone while
/// its job is paused.
pub async fn claim(tx: &mut SchedulerTx, worker: WorkerId, lease: Duration, limit: i64) -> Result<Vec<StepLease>> {
    let rows = sqlx::query!(
        "UPDATE job_steps s SET lease_owner = $1, lease_epoch = s.lease_epoch + 1, run_at = now() + $2::float8 * interval '1 second'
        FROM (
            SELECT s.step_id FROM job_steps s JOIN jobs j USING (job_id)
            WHERE s.run_at <= now() AND (s.kind <> 'plan' OR j.state IN ('queued', 'planning'))
            ORDER BY s.run_at LIMIT $3
            FOR NO KEY UPDATE OF s SKIP LOCKED
        ) free
        WHERE s.step_id = free.step_id
        RETURNING s.step_id, s.tenant_id, s.job_id, s.kind, s.chunk_no, s.lease_epoch, s.failures",
        worker.0,
        lease.as_secs_f64(),
        limit,
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StepLease {
                step_id: StepId(row.step_id),
                tenant_id: TenantId(row.tenant_id),
                job_id: JobId(row.job_id),
                kind: parse_kind(&row.kind, row.chunk_no)?,
                epoch: row.lease_epoch,
                failures: to_u32(row.failures),
            })
        })
        .collect()
}

fn parse_kind(name: &str, chunk_no: Option<i32>) -> Result<Kind> {
    match (name, chunk_no) {
        ("plan", None) => Ok(Kind::Plan),
        ("seal", Some(chunk_no)) => Ok(Kind::Seal { chunk_no: to_u32(chunk_no) }),
        ("assemble", None) => Ok(Kind::Assemble),
        _ => Err(Error::inconsistent("job_steps", format!("unknown kind {name}"))),
    }
}

/// Prolongs a worker's leases on these steps. Returns those that it still holds, with their epochs.
///
/// A lease that the worker does not know of, because the answer to its claim was lost, is left to run out.
pub async fn heartbeat(
    tx: &mut SchedulerTx,
    worker: WorkerId,
    held: &[StepId],
    lease: Duration,
) -> Result<Vec<(StepId, i32)>> {
    let held: Vec<Uuid> = held.iter().map(|step| step.0).collect();
    let rows = sqlx::query!(
        "UPDATE job_steps SET run_at = now() + $2::float8 * interval '1 second'
        WHERE lease_owner = $1 AND step_id = ANY($3) RETURNING step_id, lease_epoch",
        worker.0,
        lease.as_secs_f64(),
        &held,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| (StepId(row.step_id), row.lease_epoch)).collect())
}

/// Where the step's last holder stopped.
pub async fn cursor(tx: &mut TenantTx, lease: &StepLease) -> Result<Option<serde_json::Value>> {
    sqlx::query_scalar!(
        "SELECT cursor FROM job_steps WHERE step_id = $1 AND lease_epoch = $2",
        lease.step_id.0,
        lease.epoch
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or(Error::Fenced)
}

/// Hands a step back, to be claimed again after `delay`. With an error, its failures count up.
pub async fn hand_back(tx: &mut TenantTx, lease: &StepLease, delay: Duration, error: Option<&str>) -> Result<()> {
    let changed = sqlx::query!(
        "UPDATE job_steps SET lease_owner = NULL, run_at = now() + $3::float8 * interval '1 second', last_error = $4,
            failures = CASE WHEN $4::text IS NULL THEN failures ELSE failures + 1 END
        WHERE step_id = $1 AND lease_epoch = $2",
        lease.step_id.0,
        lease.epoch,
        delay.as_secs_f64(),
        error.map(crate::convert::without_nul),
    )
    .execute(tx.connection())
    .await?;
    if changed.rows_affected() == 1 { tx.hint().await } else { Err(Error::Fenced) }
}

/// Locks a step until the transaction ends, if the lease still holds.
pub(crate) async fn fence(tx: &mut TenantTx, lease: &StepLease) -> Result<()> {
    sqlx::query_scalar!(
        "SELECT step_id FROM job_steps WHERE step_id = $1 AND lease_epoch = $2 FOR NO KEY UPDATE",
        lease.step_id.0,
        lease.epoch
    )
    .fetch_optional(tx.connection())
    .await?
    .map(|_| ())
    .ok_or(Error::Fenced)
}

/// Removes a finished step.
pub(crate) async fn finish(tx: &mut TenantTx, lease: &StepLease) -> Result<()> {
    let deleted =
        sqlx::query!("DELETE FROM job_steps WHERE step_id = $1 AND lease_epoch = $2", lease.step_id.0, lease.epoch)
            .execute(tx.connection())
            .await?;
    if deleted.rows_affected() == 1 { Ok(()) } else { Err(Error::Fenced) }
}

/// Fails the job of a step for good.
pub async fn fail_job(tx: &mut TenantTx, lease: &StepLease, code: &str, detail: &str) -> Result<()> {
    let Some(state) = crate::jobs::lock(tx, lease.job_id).await? else { return Ok(()) };
    fence(tx, lease).await?;
    let reason = crate::jobs::Reason { code, detail };
    crate::jobs::apply(tx, lease.job_id, state, domain::job::Event::Fail, Some(reason)).await?;
    Ok(())
}
