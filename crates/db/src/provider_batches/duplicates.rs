//! Provider batches that come of others: the second that one create made, and the halves of one that was refused as a whole.

use domain::ids::DispatchId;
use domain::provider_batch::Stage;
use uuid::Uuid;

use super::rows::slice;
use super::to_json;
use crate::convert::{to_bit_text, to_i32, to_i64};
use crate::dispatches::{DispatchLease, DispatchRows, fence};
use crate::{Error, Result, SchedulerTx, TenantTx};

/// Puts another object that the same creates made into a dispatch of its own, which owns no rows. It is in `stage`; the lease's own
/// dispatch enters `own`, where the other one is known.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn spawn_duplicate(tx: &mut SchedulerTx, lease: &DispatchLease, stage: &Stage, own: &Stage) -> Result<()> {
    let dispatch_id = DispatchId(Uuid::now_v7());
    let made = sqlx::query!(
        "INSERT INTO dispatches (dispatch_id, tenant_id, job_id, generation, route, provider_id, model, run_at, lease_epoch, stage,
            place, limit_group, credential, credential_version, origin, owns_rows, requests, tokens)
        SELECT $3, tenant_id, job_id, generation, route, provider_id, model, now(), 0, $4, place, limit_group, credential,
            credential_version, origin, false, requests, tokens
        FROM dispatches WHERE dispatch_id = $1 AND lease_epoch = $2",
        lease.dispatch_id.0,
        lease.epoch,
        dispatch_id.0,
        to_json(stage)?,
    )
    .execute(tx.connection())
    .await?;
    if made.rows_affected() == 0 {
        return Err(Error::Fenced);
    }
    sqlx::query!(
        "WITH own AS (UPDATE dispatches SET stage = $3 WHERE dispatch_id = $1)
        INSERT INTO dispatch_rows (dispatch_id, tenant_id, job_id, chunk_no, rows)
        SELECT $2, tenant_id, job_id, chunk_no, rows FROM dispatch_rows WHERE dispatch_id = $1",
        lease.dispatch_id.0,
        dispatch_id.0,
        to_json(own)?,
    )
    .execute(tx.connection())
    .await?;
    tx.hint().await
}

/// Takes a dispatch apart into two of half its rows each, which are formed and begin anew. It is gone then.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn split(tx: &mut TenantTx, lease: &DispatchLease, rows: &[DispatchRows], tokens: u64) -> Result<()> {
    if !fence(tx, lease).await? {
        return Err(Error::Fenced);
    }
    sqlx::query!("UPDATE remote_objects SET run_at = now() WHERE dispatch_id = $1", lease.dispatch_id.0)
        .execute(tx.connection())
        .await?;
    let requests: usize = rows.iter().map(|chunk| chunk.rows.count()).sum();
    let half = requests / 2;
    for (first, count) in [(0, half), (half, requests - half)] {
        let part = part(rows, first, count);
        insert_part(tx, lease, &part, count as u64, tokens / 2).await?;
    }
    sqlx::query!("DELETE FROM dispatches WHERE dispatch_id = $1", lease.dispatch_id.0).execute(tx.connection()).await?;
    tx.hint().await
}

/// The rows from the `first` on, `count` of them, over all chunks.
fn part(rows: &[DispatchRows], first: usize, count: usize) -> Vec<DispatchRows> {
    let mut before = 0;
    let mut part = Vec::new();
    for chunk in rows {
        let length = chunk.rows.count();
        let within = |row: usize| row.saturating_sub(before).min(length);
        let (begin, end) = (within(first), within(first + count));
        if begin < end {
            part.push(DispatchRows { chunk_no: chunk.chunk_no, rows: slice(&chunk.rows, begin, end - begin) });
        }
        before += length;
    }
    part
}

async fn insert_part(
    tx: &mut TenantTx,
    lease: &DispatchLease,
    part: &[DispatchRows],
    requests: u64,
    tokens: u64,
) -> Result<()> {
    let dispatch_id = DispatchId(Uuid::now_v7());
    sqlx::query!(
        "INSERT INTO dispatches (dispatch_id, tenant_id, job_id, generation, route, provider_id, model, run_at, lease_epoch, stage,
            place, limit_group, credential, credential_version, origin, requests, tokens)
        SELECT $2, tenant_id, job_id, generation, route, provider_id, model, now(), 0, $3, place, limit_group, credential,
            credential_version, $2, $4, $5
        FROM dispatches WHERE dispatch_id = $1",
        lease.dispatch_id.0,
        dispatch_id.0,
        to_json(&Stage::Formed)?,
        to_i64(requests),
        to_i64(tokens),
    )
    .execute(tx.connection())
    .await?;
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "INSERT INTO dispatch_rows (dispatch_id, tenant_id, job_id, chunk_no, rows)
        SELECT $1, $2, $3, chunk_no, rows::varbit FROM unnest($4::int[], $5::text[]) AS part (chunk_no, rows)",
        dispatch_id.0,
        tenant_id.0,
        lease.job_id.0,
        &part.iter().map(|chunk| to_i32(chunk.chunk_no)).collect::<Vec<_>>(),
        &part.iter().map(|chunk| to_bit_text(&chunk.rows)).collect::<Vec<_>>(),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::row_set::RowSet;

    use super::*;

    #[test]
    fn halves_have_every_row_once() {
        let rows =
            [(0, 5), (1, 1), (4, 3)].map(|(chunk_no, length)| DispatchRows { chunk_no, rows: RowSet::full(length) });
        for count in 0..=9 {
            let (left, right) = (part(&rows, 0, count), part(&rows, count, 9 - count));
            let size = |part: &[DispatchRows]| part.iter().map(|chunk| chunk.rows.count()).sum::<usize>();
            assert_eq!((size(&left), size(&right)), (count, 9 - count));
            for chunk in &rows {
                let of = |part: &[DispatchRows]| {
                    part.iter()
                        .find(|part| part.chunk_no == chunk.chunk_no)
                        .map_or_else(|| RowSet::empty(chunk.rows.length()), |part| part.rows.clone())
                };
                assert_eq!(of(&left).union(&of(&right)), chunk.rows);
            }
        }
    }
}
