//! Makes seal steps: when a chunk has closed, and when a job ends with chunks that have not.

use domain::ids::{JobId, StepId, TenantId};
use domain::job::State;
use uuid::Uuid;

use crate::convert::to_i32;
use crate::{Result, SchedulerTx, TenantTx};

/// Makes the seal step of a chunk whose rows are all closed.
pub(crate) async fn enqueue(tx: &mut TenantTx, job_id: JobId, chunk_no: u32) -> Result<()> {
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "INSERT INTO job_steps (step_id, tenant_id, job_id, kind, chunk_no) VALUES ($1, $2, $3, 'seal', $4)
        ON CONFLICT DO NOTHING",
        StepId(Uuid::now_v7()).0,
        tenant_id.0,
        job_id.0,
        to_i32(chunk_no),
    )
    .execute(tx.connection())
    .await?;
    tx.hint().await
}

/// Makes the seal steps of chunks that plan has closed by itself.
pub(crate) async fn enqueue_closed(tx: &mut TenantTx, job_id: JobId) -> Result<()> {
    sqlx::query!(
        "INSERT INTO job_steps (step_id, tenant_id, job_id, kind, chunk_no)
        SELECT gen_random_uuid(), tenant_id, job_id, 'seal', chunk_no FROM chunks
        WHERE job_id = $1 AND sealed_at IS NULL AND bit_count(closed) = row_count
        ON CONFLICT DO NOTHING",
        job_id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Makes the seal steps of a job that is ending: of every chunk that no dispatch touches any more.
pub(crate) async fn fan_out(tx: &mut TenantTx, job_id: JobId) -> Result<u64> {
    let made = sqlx::query!(
        "INSERT INTO job_steps (step_id, tenant_id, job_id, kind, chunk_no)
        SELECT gen_random_uuid(), tenant_id, job_id, 'seal', chunk_no FROM chunks
        WHERE job_id = $1 AND sealed_at IS NULL AND bit_count(in_flight & ~closed) = 0
        ON CONFLICT DO NOTHING",
        job_id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(made.rows_affected())
}

/// After a dispatch has settled: if its job is ending, its chunks may be sealed.
pub(crate) async fn after_settling(tx: &mut TenantTx, job_id: JobId, chunks: &[u32]) -> Result<()> {
    let ending = sqlx::query_scalar!(
        r#"SELECT state IN ('cancelling', 'expiring') AS "ending!" FROM jobs WHERE job_id = $1"#,
        job_id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    if ending != Some(true) {
        return Ok(());
    }
    for chunk_no in chunks {
        if !crate::dispatches::touches(tx, job_id, *chunk_no).await? {
            enqueue(tx, job_id, *chunk_no).await?;
        }
    }
    Ok(())
}

/// Jobs that are ending, for [`sweep`].
pub async fn ending(tx: &mut SchedulerTx) -> Result<Vec<(TenantId, JobId)>> {
    let rows = sqlx::query!(
        "SELECT tenant_id, job_id FROM jobs WHERE state IN ('cancelling', 'expiring') ORDER BY job_id LIMIT 1000"
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), JobId(row.job_id))).collect())
}

/// Makes the seal steps that a settlement running beside the cancel could not know to be needed.
pub async fn sweep(tx: &mut TenantTx, job_id: JobId) -> Result<()> {
    let Some(state) = crate::jobs::lock(tx, job_id).await? else { return Ok(()) };
    if matches!(state, State::Cancelling | State::Expiring) && fan_out(tx, job_id).await? > 0 {
        tx.hint().await?;
    }
    Ok(())
}
