//! Why a limit group stands still, and what it has learned.

use std::time::Duration;

use domain::provider::LimitGroup;

use crate::convert::{to_u32, to_u64};
use crate::{Result, SchedulerTx, Tx};

/// A key-level failure that stopped a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub code: String,
    pub detail: String,
}

/// Notes that a group stands still, or with `None` that it goes on.
pub async fn set_pause(tx: &mut SchedulerTx, group: &LimitGroup, pause: Option<&Pause>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO limit_groups (limit_group, paused_code, paused_detail, paused_at)
        VALUES ($1, $2::text, $3, CASE WHEN $2::text IS NULL THEN NULL ELSE now() END)
        ON CONFLICT (limit_group) DO UPDATE SET paused_code = excluded.paused_code, paused_detail = excluded.paused_detail,
            paused_at = excluded.paused_at",
        group.0,
        pause.map(|pause| pause.code.as_str()),
        pause.map(|pause| crate::convert::without_nul(&pause.detail)),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A call has worked: whatever stopped the group is over.
pub async fn resume(tx: &mut SchedulerTx, group: &str) -> Result<()> {
    sqlx::query!(
        "UPDATE limit_groups SET paused_code = NULL, paused_detail = NULL, paused_at = NULL
        WHERE limit_group = $1 AND paused_code IS NOT NULL",
        group
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Why a group stands still. Whoever stopped it says so again with every try that fails: what nobody has said for minutes is over.
pub async fn pause(tx: &mut impl Tx, group: &LimitGroup) -> Result<Option<Pause>> {
    let row = sqlx::query!(
        r#"SELECT paused_code AS "code!", coalesce(paused_detail, '') AS "detail!" FROM limit_groups
        WHERE limit_group = $1 AND paused_code IS NOT NULL AND paused_at > now() - interval '5 minutes'"#,
        group.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Pause { code: row.code, detail: row.detail }))
}

/// What the group's workers share on the real-time route, as JSON, and the time since the epoch by the database's clock. The row is locked until
/// the transaction ends.
pub async fn lock_flow(tx: &mut SchedulerTx, group: &LimitGroup) -> Result<(serde_json::Value, Duration)> {
    sqlx::query!("INSERT INTO limit_groups (limit_group) VALUES ($1) ON CONFLICT DO NOTHING", group.0)
        .execute(tx.connection())
        .await?;
    let flow = sqlx::query_scalar!("SELECT flow FROM limit_groups WHERE limit_group = $1 FOR NO KEY UPDATE", group.0)
        .fetch_one(tx.connection())
        .await?;
    // Not in the same statement: that may have waited for the lock after it read the clock.
    let now = sqlx::query_scalar!(r#"SELECT extract(epoch FROM clock_timestamp())::float8 AS "now!""#)
        .fetch_one(tx.connection())
        .await?;
    Ok((flow, Duration::try_from_secs_f64(now).unwrap_or_default()))
}

/// Stores it.
pub async fn set_flow(tx: &mut SchedulerTx, group: &LimitGroup, flow: &serde_json::Value) -> Result<()> {
    sqlx::query!("UPDATE limit_groups SET flow = $2 WHERE limit_group = $1", group.0, flow)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// What a group has learned of provider batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learned {
    /// From create to end of those that were done, oldest first.
    pub latencies: Vec<Duration>,
    /// Fewer enqueued tokens than the record allows.
    pub enqueued_tokens: Option<u64>,
    /// No create before then.
    pub rest: Duration,
    /// Refusals for want of queue since the last provider batch that was done.
    pub refusals: u32,
    /// No call can work: since so long.
    pub paused_for: Option<Duration>,
}

pub async fn learned(tx: &mut impl Tx, group: &LimitGroup) -> Result<Learned> {
    let row = sqlx::query!(
        r#"SELECT batch_latency_s, enqueued_tokens_cap, batch_refusals,
            greatest(0, extract(epoch FROM coalesce(next_create_at, now()) - now()))::float8 AS "rest!",
            extract(epoch FROM now() - paused_at)::float8 AS paused_for
        FROM limit_groups WHERE limit_group = $1"#,
        group.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map_or_else(Learned::default, |row| Learned {
        latencies: row.batch_latency_s.into_iter().map(|seconds| Duration::from_secs(to_u32(seconds).into())).collect(),
        enqueued_tokens: row.enqueued_tokens_cap.map(to_u64),
        refusals: to_u32(row.batch_refusals),
        rest: Duration::try_from_secs_f64(row.rest).unwrap_or_default(),
        paused_for: row.paused_for.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()),
    }))
}
