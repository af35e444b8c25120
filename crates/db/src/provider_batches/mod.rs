//! Dispatches on the batch route: how far they are, and who takes the next step when.

mod allowance;
mod duplicates;
mod rows;

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::DispatchId;
use domain::job::State;
use domain::provider_batch::{RemoteStatus, Stage};

pub use self::allowance::{Need, ask, note_done, note_refusal, others_create, reserve, reserve_again};
pub use self::duplicates::{spawn_duplicate, split};
pub use self::rows::{
    SentChunk, bar_row, bar_rows, keep_rows, note_tokens, request_rows, sent_chunks, settle, settle_rows,
};
use crate::convert::{to_i64, to_u32, to_u64};
use crate::dispatches::DispatchLease;
use crate::jobs::parse_state;
use crate::{Error, Result, SchedulerTx};

/// A dispatch on the batch route, as whoever holds its lease needs it.
#[derive(Debug, Clone)]
pub struct ProviderBatch {
    pub stage: Stage,
    pub stage_since: DateTime<Utc>,
    /// Provider and model record as they were when it was formed.
    pub place: serde_json::Value,
    pub limit_group: String,
    pub credential: Option<String>,
    pub credential_version: Option<i64>,
    /// The dispatch whose id its requests' ids begin with.
    pub origin: DispatchId,
    /// False: its rows were settled before, and what it brings comes late.
    pub owns_rows: bool,
    pub requests: u64,
    pub tokens: u64,
    pub remote_status: Option<String>,
    pub remote_done: Option<u64>,
    /// When the two changed last.
    pub progress_at: DateTime<Utc>,
    /// Steps in a row that ended in an error.
    pub failures: u32,
    pub created_at: DateTime<Utc>,
    pub job_state: State,
    /// Its tenant may not send.
    pub suspended: bool,
    /// How long the job has been ending; `None`: it is not.
    pub ending_for: Option<Duration>,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// # Errors
/// [`Error::Fenced`] if the lease is lost, or the job is gone.
pub async fn load(tx: &mut SchedulerTx, lease: &DispatchLease) -> Result<ProviderBatch> {
    let row = sqlx::query!(
        r#"SELECT d.stage AS "stage!", d.stage_since, d.place AS "place!", d.limit_group AS "limit_group!", d.credential,
            d.credential_version, d.origin AS "origin!", d.owns_rows, d.requests, d.tokens, d.remote_status, d.remote_done,
            coalesce(d.progress_at, d.stage_since) AS "progress_at!", d.failures, d.created_at, j.state,
            j.paused_from, t.status AS tenant_status, clock_timestamp() AS "now!",
            (SELECT extract(epoch FROM now() - max(e.created_at))::float8 FROM events e
                WHERE e.job_id = j.job_id AND e.state = j.state AND j.state IN ('cancelling', 'expiring', 'failed')) AS ending_for
        FROM dispatches d JOIN jobs j USING (job_id) JOIN tenants t ON t.tenant_id = d.tenant_id
        WHERE d.dispatch_id = $1 AND d.lease_epoch = $2"#,
        lease.dispatch_id.0,
        lease.epoch,
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or(Error::Fenced)?;
    Ok(ProviderBatch {
        stage: serde_json::from_value(row.stage)
            .map_err(|error| Error::inconsistent("dispatches", error.to_string()))?,
        stage_since: row.stage_since,
        place: row.place,
        limit_group: row.limit_group,
        credential: row.credential,
        credential_version: row.credential_version,
        origin: DispatchId(row.origin),
        owns_rows: row.owns_rows,
        requests: to_u64(row.requests),
        tokens: to_u64(row.tokens),
        remote_status: row.remote_status,
        remote_done: row.remote_done.map(to_u64),
        progress_at: row.progress_at,
        failures: to_u32(row.failures),
        created_at: row.created_at,
        job_state: parse_state(&row.state, row.paused_from.as_deref())?,
        suspended: row.tenant_status == "suspended",
        ending_for: row.ending_for.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()),
        now: row.now,
    })
}

pub(crate) fn to_json(stage: &Stage) -> Result<serde_json::Value> {
    serde_json::to_value(stage).map_err(|error| Error::inconsistent("dispatches", error.to_string()))
}

/// Writes a new stage down. What it held of the allowance is given back once it no longer counts at the provider.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn enter(tx: &mut SchedulerTx, lease: &DispatchLease, stage: &Stage) -> Result<()> {
    let keeps_allowance = matches!(stage, Stage::Creating { .. } | Stage::Submitted(_));
    let changed = sqlx::query!(
        "UPDATE dispatches SET stage = $3, stage_since = now(), failures = 0, last_error = NULL,
            progress_at = CASE WHEN stage_name = $3::jsonb ->> 'stage' THEN progress_at ELSE now() END,
            reserved_tokens = CASE WHEN $4 THEN reserved_tokens END
        WHERE dispatch_id = $1 AND lease_epoch = $2",
        lease.dispatch_id.0,
        lease.epoch,
        to_json(stage)?,
        keeps_allowance,
    )
    .execute(tx.connection())
    .await?;
    if changed.rows_affected() == 0 {
        return Err(Error::Fenced);
    }
    match stage {
        Stage::Ended { .. } | Stage::Watching { .. } => wake_waiting(tx, lease).await,
        Stage::Formed | Stage::Uploaded { .. } | Stage::Creating { .. } | Stage::Submitted(_) => Ok(()),
    }
}

/// Something of the allowance came free: who waits for it looks at once.
pub(crate) async fn wake_waiting(tx: &mut SchedulerTx, lease: &DispatchLease) -> Result<()> {
    sqlx::query!(
        "UPDATE dispatches SET run_at = now()
        WHERE dispatch_id IN (
            SELECT w.dispatch_id FROM dispatches w, dispatches d
            WHERE d.dispatch_id = $1 AND w.limit_group = d.limit_group AND w.lease_owner IS NULL AND w.failures = 0
                AND w.stage_name IN ('formed', 'uploaded') AND w.run_at > now()
            FOR NO KEY UPDATE OF w SKIP LOCKED
        )",
        lease.dispatch_id.0,
    )
    .execute(tx.connection())
    .await?;
    tx.hint().await
}

/// Notes what the provider said.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn note_poll(
    tx: &mut SchedulerTx,
    lease: &DispatchLease,
    status: RemoteStatus,
    done: Option<u64>,
) -> Result<()> {
    let changed = sqlx::query!(
        "UPDATE dispatches SET remote_status = $3, remote_done = $4, failures = 0, last_error = NULL,
            progress_at = CASE WHEN remote_status = $3 AND remote_done IS NOT DISTINCT FROM $4 THEN progress_at ELSE now() END
        WHERE dispatch_id = $1 AND lease_epoch = $2",
        lease.dispatch_id.0,
        lease.epoch,
        status.name(),
        done.map(to_i64),
    )
    .execute(tx.connection())
    .await?;
    if changed.rows_affected() == 1 { Ok(()) } else { Err(Error::Fenced) }
}

/// Hands a dispatch back, to be claimed again after `delay`. With an error, its failures count up.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn hand_back(
    tx: &mut SchedulerTx,
    lease: &DispatchLease,
    delay: Duration,
    error: Option<&str>,
) -> Result<()> {
    let changed = sqlx::query!(
        "UPDATE dispatches SET lease_owner = NULL, run_at = now() + $3::float8 * interval '1 second',
            last_error = coalesce($4, last_error), failures = failures + CASE WHEN $4::text IS NULL THEN 0 ELSE 1 END
        WHERE dispatch_id = $1 AND lease_epoch = $2",
        lease.dispatch_id.0,
        lease.epoch,
        delay.as_secs_f64(),
        error.map(crate::convert::without_nul),
    )
    .execute(tx.connection())
    .await?;
    if changed.rows_affected() == 0 {
        return Err(Error::Fenced);
    }
    if delay.is_zero() { tx.hint().await } else { Ok(()) }
}

/// The secret that it was created with works no more: it goes on with the newest. Returns false if it has that already.
pub async fn renew_credential(tx: &mut SchedulerTx, lease: &DispatchLease) -> Result<bool> {
    let renewed = sqlx::query!(
        "UPDATE dispatches d SET credential_version = c.version FROM credentials c
        WHERE d.dispatch_id = $1 AND d.lease_epoch = $2 AND c.name = d.credential AND c.version IS DISTINCT FROM d.credential_version",
        lease.dispatch_id.0,
        lease.epoch,
    )
    .execute(tx.connection())
    .await?;
    Ok(renewed.rows_affected() > 0)
}

/// A sign that a provider batch has ended: it is looked at now. Returns whether it is known.
pub async fn wake(tx: &mut SchedulerTx, provider_id: &str, remote_id: &str) -> Result<bool> {
    let woken = sqlx::query!(
        "UPDATE dispatches SET run_at = CASE WHEN lease_owner IS NULL THEN now() ELSE run_at END
        WHERE provider_id = $1 AND remote_id = $2",
        provider_id,
        remote_id,
    )
    .execute(tx.connection())
    .await?;
    tx.hint().await?;
    Ok(woken.rows_affected() > 0)
}

/// The database's clock.
pub async fn now(tx: &mut SchedulerTx) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(tx.connection()).await?)
}

/// Whether another dispatch has this object.
pub async fn is_known(tx: &mut SchedulerTx, lease: &DispatchLease, remote_id: &str) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM dispatches WHERE remote_id = $2 AND dispatch_id <> $1)
            OR EXISTS (SELECT FROM remote_objects WHERE remote_id = $2 AND dispatch_id <> $1) AS "exists!""#,
        lease.dispatch_id.0,
        remote_id,
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Provider batches of jobs that may not go on as they are: each is looked at now. Returns how many.
pub async fn wake_ending(tx: &mut SchedulerTx) -> Result<u64> {
    let woken = sqlx::query!(
        "UPDATE dispatches SET run_at = now() WHERE dispatch_id IN (
            SELECT d.dispatch_id FROM dispatches d JOIN jobs j USING (job_id) JOIN tenants t ON t.tenant_id = d.tenant_id
            WHERE d.route = 'batch' AND d.lease_owner IS NULL AND d.run_at > now() AND d.owns_rows
                AND CASE d.stage_name
                    WHEN 'submitted' THEN j.state IN ('cancelling', 'expiring', 'failed') AND d.stage ->> 'cancel_asked' IS NULL
                    WHEN 'formed' THEN j.state <> 'running' OR t.status <> 'active'
                    WHEN 'uploaded' THEN j.state <> 'running' OR t.status <> 'active'
                    ELSE false END
            FOR NO KEY UPDATE OF d SKIP LOCKED
        )"
    )
    .execute(tx.connection())
    .await?;
    if woken.rows_affected() > 0 {
        tx.hint().await?;
    }
    Ok(woken.rows_affected())
}
