//! Dispatches: formed from open rows, leased, settled.

use std::time::Duration;

use domain::ids::{DispatchId, JobId, TenantId, WorkerId};
use domain::provider::ModelName;
use domain::row_set::RowSet;
use uuid::Uuid;

use crate::convert::{from_bits, to_bits, to_i32, to_u32};
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

/// Claims up to `limit` dispatches whose holder is gone, longest gone first.
pub async fn claim(tx: &mut SchedulerTx, worker: WorkerId, lease: Duration, limit: i64) -> Result<Vec<DispatchLease>> {
    let rows = sqlx::query!(
        "UPDATE dispatches d SET lease_owner = $1, lease_epoch = d.lease_epoch + 1,
            run_at = now() + $2::float8 * interval '1 second'
        FROM (
            SELECT dispatch_id FROM dispatches WHERE run_at <= now() ORDER BY run_at LIMIT $3
            FOR NO KEY UPDATE SKIP LOCKED
        ) free
        WHERE d.dispatch_id = free.dispatch_id
        RETURNING d.dispatch_id, d.tenant_id, d.job_id, d.generation, d.provider_id, d.model, d.lease_epoch",
        worker.0,
        lease.as_secs_f64(),
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

/// Forms a real-time dispatch from open rows of one chunk, of the running job that has waited longest for its turn, and leases it.
/// `rows` decides how many, from the model and how many are open in the chunk. Jobs of models in `except` have no turn.
pub async fn form(
    tx: &mut SchedulerTx,
    worker: WorkerId,
    lease: Duration,
    except: &[ModelName],
    rows: impl Fn(&ModelName, usize) -> usize + Send,
) -> Result<Option<DispatchLease>> {
    let (providers, models): (Vec<_>, Vec<_>) =
        except.iter().map(|name| (name.provider.clone(), name.model.clone())).unzip();
    let Some(job) = sqlx::query!(
        "SELECT job_id, tenant_id, generation, provider_id, model FROM jobs j
        WHERE state = 'running'
            AND NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS e (p, m) WHERE e.p = provider_id AND e.m = model)
            AND EXISTS (SELECT FROM chunks c WHERE c.job_id = j.job_id AND c.has_open)
            AND EXISTS (SELECT FROM tenants t WHERE t.tenant_id = j.tenant_id AND t.status = 'active')
        ORDER BY last_dispatched_at NULLS FIRST, job_id LIMIT 1
        FOR NO KEY UPDATE",
        &providers,
        &models,
    )
    .fetch_optional(tx.connection())
    .await?
    else {
        return Ok(None);
    };
    let Some(chunk) = sqlx::query!(
        "SELECT chunk_no, closed, in_flight FROM chunks WHERE job_id = $1 AND has_open
        ORDER BY chunk_no LIMIT 1 FOR NO KEY UPDATE",
        job.job_id
    )
    .fetch_optional(tx.connection())
    .await?
    else {
        return Ok(None);
    };
    let in_flight = from_bits(&chunk.in_flight);
    let open = RowSet::full(in_flight.length()).minus(&from_bits(&chunk.closed)).minus(&in_flight);
    let model = ModelName { provider: job.provider_id, model: job.model };
    let taken = open.first(rows(&model, open.count()).max(1));
    let dispatch_id = DispatchId(Uuid::now_v7());
    sqlx::query!(
        "WITH job AS (UPDATE jobs SET last_dispatched_at = clock_timestamp() WHERE job_id = $1),
        chunk AS (UPDATE chunks SET in_flight = $3, has_open = $4 WHERE job_id = $1 AND chunk_no = $2),
        dispatch AS (
            INSERT INTO dispatches (dispatch_id, tenant_id, job_id, generation, route, provider_id, model, run_at, lease_owner)
            VALUES ($5, $6, $1, $7, 'realtime', $8, $9, now() + $10::float8 * interval '1 second', $11)
        )
        INSERT INTO dispatch_rows (dispatch_id, tenant_id, job_id, chunk_no, rows) VALUES ($5, $6, $1, $2, $12)",
        job.job_id,
        chunk.chunk_no,
        to_bits(&in_flight.union(&taken)),
        taken.count() < open.count(),
        dispatch_id.0,
        job.tenant_id,
        job.generation,
        model.provider,
        model.model,
        lease.as_secs_f64(),
        worker.0,
        to_bits(&taken),
    )
    .execute(tx.connection())
    .await?;
    Ok(Some(DispatchLease {
        dispatch_id,
        tenant_id: TenantId(job.tenant_id),
        job_id: JobId(job.job_id),
        generation: job.generation,
        model,
        epoch: 1,
    }))
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

/// Settles a dispatch: its rows that have no outcome are open again. Returns false if the lease was lost; nothing is changed then.
pub async fn settle(tx: &mut TenantTx, lease: &DispatchLease) -> Result<bool> {
    if !fence(tx, lease).await? {
        return Ok(false);
    }
    let rows = sqlx::query!(
        "SELECT chunk_no, rows FROM dispatch_rows WHERE dispatch_id = $1 ORDER BY chunk_no",
        lease.dispatch_id.0
    )
    .fetch_all(tx.connection())
    .await?;
    for row in &rows {
        sqlx::query!(
            "UPDATE chunks SET in_flight = in_flight & ~$3::varbit,
                has_open = bit_count(closed | (in_flight & ~$3::varbit)) < row_count
            WHERE job_id = $1 AND chunk_no = $2",
            lease.job_id.0,
            row.chunk_no,
            row.rows,
        )
        .execute(tx.connection())
        .await?;
    }
    sqlx::query!("DELETE FROM dispatches WHERE dispatch_id = $1", lease.dispatch_id.0).execute(tx.connection()).await?;
    crate::seal::after_settling(tx, lease.job_id, &rows.iter().map(|row| to_u32(row.chunk_no)).collect::<Vec<_>>())
        .await?;
    Ok(true)
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
