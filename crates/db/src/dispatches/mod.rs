//! Dispatches: formed from open rows, leased, settled.

mod form;
mod turn;

use std::time::Duration;

use domain::ids::{DispatchId, JobId, TenantId, WorkerId};
use domain::provider::ModelName;
use domain::route::Route;
use domain::row_set::RowSet;
use uuid::Uuid;

pub use self::form::{Budget, Destination, form_batch, form_realtime};
pub use self::turn::{
    Candidate, OpenRows, UnderWay, any_succeeded, candidate, note_probe, note_wait, open_rows, under_way, wake,
};
use crate::convert::{from_bits, to_i32, to_u32};
use crate::{Result, SchedulerTx, TenantTx};

/// A dispatch held by a worker. Writes for it name the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchLease {
    pub dispatch_id: DispatchId,
    pub tenant_id: TenantId,
    pub job_id: JobId,
    pub generation: i32,
    pub model: ModelName,
    pub epoch: i32,
}

/// The rows of a dispatch in one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchRows {
    pub chunk_no: u32,
    pub rows: RowSet,
}

/// Claims up to `limit` dispatches of a route whose time has come: nobody holds them, or their holder is gone. Longest due first.
pub async fn claim(
    tx: &mut SchedulerTx,
    worker: WorkerId,
    lease: Duration,
    route: Route,
    limit: i64,
) -> Result<Vec<DispatchLease>> {
    let rows = sqlx::query!(
        "UPDATE dispatches d SET lease_owner = $1, lease_epoch = d.lease_epoch + 1,
            run_at = now() + $2::float8 * interval '1 second'
        FROM (
            SELECT dispatch_id FROM dispatches WHERE run_at <= now() AND route = $3 ORDER BY run_at LIMIT $4
            FOR NO KEY UPDATE SKIP LOCKED
        ) free
        WHERE d.dispatch_id = free.dispatch_id
        RETURNING d.dispatch_id, d.tenant_id, d.job_id, d.generation, d.provider_id, d.model, d.lease_epoch",
        worker.0,
        lease.as_secs_f64(),
        route.name(),
        limit,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| DispatchLease {
            dispatch_id: DispatchId(row.dispatch_id),
            tenant_id: TenantId(row.tenant_id),
            job_id: JobId(row.job_id),
            generation: row.generation,
            model: ModelName { provider: row.provider_id, model: row.model },
            epoch: row.lease_epoch,
        })
        .collect())
}

/// Prolongs a worker's leases on these dispatches. Returns those that it still holds, with their epochs.
///
/// A lease that the worker does not know of, because the answer to its claim was lost, is left to run out.
pub async fn heartbeat(
    tx: &mut SchedulerTx,
    worker: WorkerId,
    held: &[DispatchId],
    lease: Duration,
) -> Result<Vec<(DispatchId, i32)>> {
    let held: Vec<Uuid> = held.iter().map(|dispatch| dispatch.0).collect();
    let rows = sqlx::query!(
        "UPDATE dispatches d SET run_at = now() + $2::float8 * interval '1 second'
        FROM (
            SELECT dispatch_id FROM dispatches WHERE lease_owner = $1 AND dispatch_id = ANY($3)
            ORDER BY dispatch_id FOR NO KEY UPDATE
        ) held
        WHERE d.dispatch_id = held.dispatch_id
        RETURNING d.dispatch_id, d.lease_epoch",
        worker.0,
        lease.as_secs_f64(),
        &held,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| (DispatchId(row.dispatch_id), row.lease_epoch)).collect())
}

/// The rows of a dispatch that have no outcome yet.
pub async fn rows(tx: &mut TenantTx, lease: &DispatchLease) -> Result<Vec<DispatchRows>> {
    let rows = sqlx::query!(
        r#"SELECT r.chunk_no, r.rows & ~c.closed AS "rows!" FROM dispatch_rows r JOIN chunks c USING (job_id, chunk_no)
        WHERE r.dispatch_id = $1 ORDER BY r.chunk_no"#,
        lease.dispatch_id.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| DispatchRows { chunk_no: to_u32(row.chunk_no), rows: from_bits(&row.rows) })
        .collect())
}

/// Settles a dispatch: its rows that have no outcome are open again, and it is gone. Returns false if the lease was lost; nothing
/// is changed then.
pub async fn settle(tx: &mut TenantTx, lease: &DispatchLease) -> Result<bool> {
    if !fence(tx, lease).await? {
        return Ok(false);
    }
    release_rows(tx, lease).await?;
    sqlx::query!("DELETE FROM dispatches WHERE dispatch_id = $1", lease.dispatch_id.0).execute(tx.connection()).await?;
    Ok(true)
}

/// Opens the rows of a dispatch again that have no outcome, if they are in flight because of it. The dispatch is locked.
pub(crate) async fn release_rows(tx: &mut TenantTx, lease: &DispatchLease) -> Result<()> {
    let chunks = sqlx::query_scalar!(
        "WITH held AS (
            SELECT c.job_id, c.chunk_no, r.rows
            FROM dispatches d JOIN dispatch_rows r USING (dispatch_id) JOIN chunks c ON c.job_id = r.job_id AND c.chunk_no = r.chunk_no
            WHERE d.dispatch_id = $1 AND d.owns_rows ORDER BY c.chunk_no FOR NO KEY UPDATE OF c
        )
        UPDATE chunks c SET in_flight = c.in_flight & ~held.rows,
            has_open = bit_count(c.closed | (c.in_flight & ~held.rows)) < c.row_count
        FROM held WHERE c.job_id = held.job_id AND c.chunk_no = held.chunk_no
        RETURNING c.chunk_no",
        lease.dispatch_id.0,
    )
    .fetch_all(tx.connection())
    .await?;
    crate::seal::after_settling(tx, lease.job_id, &chunks.into_iter().map(to_u32).collect::<Vec<_>>()).await
}

/// Locks dispatches until the transaction ends, in the order in which heartbeats lock them: a transaction that writes for
/// several must call it first, or the two may wait for each other.
pub async fn lock(tx: &mut TenantTx, dispatches: &[DispatchId]) -> Result<()> {
    let dispatches: Vec<Uuid> = dispatches.iter().map(|dispatch| dispatch.0).collect();
    sqlx::query!(
        "SELECT dispatch_id FROM dispatches WHERE dispatch_id = ANY($1) ORDER BY dispatch_id FOR NO KEY UPDATE",
        &dispatches
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(())
}

/// Locks a dispatch until the transaction ends. Returns whether the lease still holds.
pub(crate) async fn fence(tx: &mut TenantTx, lease: &DispatchLease) -> Result<bool> {
    let held = sqlx::query_scalar!(
        "SELECT dispatch_id FROM dispatches WHERE dispatch_id = $1 AND lease_epoch = $2 FOR NO KEY UPDATE",
        lease.dispatch_id.0,
        lease.epoch
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(held.is_some())
}

/// Whether any row of a chunk is in an unsettled dispatch.
pub(crate) async fn touches(tx: &mut TenantTx, job_id: JobId, chunk_no: u32) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT bit_count(in_flight & ~closed) > 0 AS "touches!" FROM chunks WHERE job_id = $1 AND chunk_no = $2"#,
        job_id.0,
        to_i32(chunk_no)
    )
    .fetch_optional(tx.connection())
    .await?
    .unwrap_or(false))
}
