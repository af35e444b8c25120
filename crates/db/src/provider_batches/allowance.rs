//! The allowance of a limit group: reserved before a create, given back at the end, learned from refusals.

use std::time::Duration;

use domain::allowance::{Allowance, Grant, Share};
use domain::provider_batch::Stage;

use super::to_json;
use crate::convert::{to_i64, to_u32, to_u64};
use crate::dispatches::DispatchLease;
use crate::{Error, Result, SchedulerTx};

/// What a create needs.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    pub limit_group: &'a str,
    pub tokens: u64,
    /// What the record allows.
    pub allowance: Allowance,
    /// Least time between two creates of the group.
    pub spacing: Duration,
    /// A group that stands still is tried again this often.
    pub probe: Duration,
    /// At most one create with an unknown end at a time for this credential: what it makes can't be told apart otherwise.
    pub alone: bool,
}

/// Reserves, and writes the intent to create down: from here on a create may have been sent. On anything but [`Grant::Now`], nothing
/// is changed.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn reserve(tx: &mut SchedulerTx, lease: &DispatchLease, need: Need<'_>, intent: &Stage) -> Result<Grant> {
    let grant = ask(tx, lease, need).await?;
    if grant != Grant::Now {
        return Ok(grant);
    }
    let changed = sqlx::query!(
        "WITH spaced AS (
            UPDATE limit_groups SET next_create_at = now() + $5::float8 * interval '1 second' WHERE limit_group = $6
        )
        UPDATE dispatches d SET reserved_tokens = $3, stage = $4, stage_since = now()
        FROM jobs j JOIN tenants t USING (tenant_id)
        WHERE d.dispatch_id = $1 AND d.lease_epoch = $2 AND j.job_id = d.job_id AND j.state = 'running' AND t.status = 'active'",
        lease.dispatch_id.0,
        lease.epoch,
        to_i64(need.tokens),
        to_json(intent)?,
        need.spacing.as_secs_f64(),
        need.limit_group,
    )
    .execute(tx.connection())
    .await?;
    // Cancelled, paused or suspended meanwhile, or somebody else's by now: the next look tells.
    if changed.rows_affected() == 1 { Ok(Grant::Now) } else { Ok(Grant::Later) }
}

/// The same for a create that is sent again after the first was lost. What it has reserved counts for nobody meanwhile.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn reserve_again(
    tx: &mut SchedulerTx,
    lease: &DispatchLease,
    need: Need<'_>,
    intent: &Stage,
) -> Result<Grant> {
    sqlx::query!(
        "UPDATE dispatches SET reserved_tokens = NULL WHERE dispatch_id = $1 AND lease_epoch = $2",
        lease.dispatch_id.0,
        lease.epoch,
    )
    .execute(tx.connection())
    .await?;
    reserve(tx, lease, need, intent).await
}

/// Whether it would be granted now; its group is locked until the transaction ends.
pub async fn ask(tx: &mut SchedulerTx, lease: &DispatchLease, need: Need<'_>) -> Result<Grant> {
    if need.alone {
        lock_credential(tx, lease).await?;
    }
    let Some(learned) = lock_group(tx, need.limit_group, need.probe).await? else { return Ok(Grant::Later) };
    if need.alone && others_create(tx, lease).await? {
        return Ok(Grant::Later);
    }
    let tokens = match (need.allowance.tokens, learned) {
        // What was learned may be less than any single one: it must be tried again some day.
        (limit, Some(learned)) => Some(learned.max(need.tokens).min(limit.unwrap_or(u64::MAX))),
        (limit, None) => limit,
    };
    let (shares, mine) = shares(tx, lease, need.limit_group).await?;
    Ok(Allowance { tokens, ..need.allowance }.grant(need.tokens, mine, &shares))
}

/// Locks the group and returns what it has learned of its allowance; `None` while it rests, or stands still.
async fn lock_group(tx: &mut SchedulerTx, limit_group: &str, probe: Duration) -> Result<Option<Option<u64>>> {
    sqlx::query!("INSERT INTO limit_groups (limit_group) VALUES ($1) ON CONFLICT DO NOTHING", limit_group)
        .execute(tx.connection())
        .await?;
    let group = sqlx::query!(
        r#"SELECT enqueued_tokens_cap, coalesce(next_create_at > now(), false)
                OR coalesce(paused_at > now() - $2::float8 * interval '1 second', false) AS "rests!"
        FROM limit_groups WHERE limit_group = $1 FOR NO KEY UPDATE"#,
        limit_group,
        probe.as_secs_f64(),
    )
    .fetch_one(tx.connection())
    .await?;
    Ok((!group.rests).then(|| group.enqueued_tokens_cap.map(to_u64)))
}

/// Creates of a credential's several groups and records take turns.
async fn lock_credential(tx: &mut SchedulerTx, lease: &DispatchLease) -> Result<()> {
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended('create ' || coalesce(credential, provider_id), 0))
        FROM dispatches WHERE dispatch_id = $1",
        lease.dispatch_id.0,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(())
}

/// Whether another create with this credential may be under way.
pub async fn others_create(tx: &mut SchedulerTx, lease: &DispatchLease) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
            SELECT FROM dispatches d JOIN dispatches me ON me.dispatch_id = $1
            WHERE d.dispatch_id <> $1 AND d.stage_name = 'creating'
                AND d.credential IS NOT DISTINCT FROM me.credential
        ) AS "exists!""#,
        lease.dispatch_id.0
    )
    .fetch_one(tx.connection())
    .await?)
}

/// What every tenant of the group holds and wants, and which of them the lease's is.
async fn shares(tx: &mut SchedulerTx, lease: &DispatchLease, limit_group: &str) -> Result<(Vec<Share>, usize)> {
    let rows = sqlx::query!(
        r#"SELECT d.tenant_id, t.weight, coalesce(sum(d.reserved_tokens), 0)::bigint AS "tokens!",
            count(d.reserved_tokens) AS "batches!",
            min(d.tokens) FILTER (WHERE d.stage_name IN ('formed', 'uploaded') AND d.failures = 0 AND j.state = 'running'
                AND t.status = 'active') AS wants
        FROM dispatches d JOIN tenants t ON t.tenant_id = d.tenant_id JOIN jobs j USING (job_id)
        WHERE d.limit_group = $1 GROUP BY d.tenant_id, t.weight"#,
        limit_group
    )
    .fetch_all(tx.connection())
    .await?;
    let mine = rows.iter().position(|row| row.tenant_id == lease.tenant_id.0).ok_or(Error::Fenced)?;
    let shares = rows
        .into_iter()
        .map(|row| Share {
            weight: to_u32(row.weight),
            tokens: to_u64(row.tokens),
            batches: u32::try_from(row.batches).unwrap_or(u32::MAX),
            wants: row.wants.map(to_u64),
        })
        .collect();
    Ok((shares, mine))
}

/// The provider's queue is full, though our account said otherwise: the group rests, longer each time, and allows less.
/// With `tokens`, those of the refused provider batch: what others of the group hold at this moment is all that fits, or half of it
/// where there are none.
pub async fn note_refusal(tx: &mut SchedulerTx, limit_group: &str, tokens: Option<u64>, rest: Duration) -> Result<()> {
    sqlx::query!(
        "UPDATE limit_groups SET batch_refusals = batch_refusals + 1,
            enqueued_tokens_cap = CASE WHEN $2::bigint IS NULL THEN enqueued_tokens_cap
                ELSE greatest($2 / 2, least(coalesce(enqueued_tokens_cap, 9223372036854775807),
                    (SELECT coalesce(sum(reserved_tokens), 0) FROM dispatches WHERE limit_group = $1)), 1) END,
            next_create_at = now() + $3::float8 * 2 ^ least(4, batch_refusals) * interval '1 second'
        WHERE limit_group = $1",
        limit_group,
        tokens.map(to_i64),
        rest.as_secs_f64(),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Latencies that are remembered.
const SAMPLES: i32 = 100;

/// A provider batch was done, so long after its create: the group learns, and allows more again.
pub async fn note_done(tx: &mut SchedulerTx, limit_group: &str, latency: Duration) -> Result<()> {
    let seconds = i32::try_from(latency.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX);
    sqlx::query!(
        "INSERT INTO limit_groups (limit_group, batch_latency_s) VALUES ($1, ARRAY[$2::int])
        ON CONFLICT (limit_group) DO UPDATE SET batch_refusals = 0,
            batch_latency_s = (limit_groups.batch_latency_s || $2)
                [greatest(1, cardinality(limit_groups.batch_latency_s) + 2 - $3):],
            enqueued_tokens_cap = CASE WHEN limit_groups.enqueued_tokens_cap < 1000000000000
                THEN limit_groups.enqueued_tokens_cap + limit_groups.enqueued_tokens_cap / 4 + 1 END",
        limit_group,
        seconds,
        SAMPLES,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
