//! What we keep at providers: written down before it is made, removed there when it is no longer needed.

use std::time::Duration;

use domain::ids::{DispatchId, TenantId};
use uuid::Uuid;

use crate::dispatches::DispatchLease;
use crate::{Error, Result, SchedulerTx};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file of requests.
    Upload,
    /// A file of results.
    Results,
    /// The object itself.
    ProviderBatch,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Results => "results",
            Self::ProviderBatch => "provider_batch",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Upload, Self::Results, Self::ProviderBatch].into_iter().find(|kind| kind.name() == name)
    }
}

/// Something that is to be removed.
#[derive(Debug, Clone)]
pub struct RemoteObject {
    pub object_id: Uuid,
    pub tenant_id: TenantId,
    pub dispatch_id: DispatchId,
    pub kind: Kind,
    /// An upload's unique name.
    pub name: String,
    /// `None`: the reply was lost, so that it may not exist.
    pub remote_id: Option<String>,
    /// Where it is, as a dispatch has it.
    pub place: serde_json::Value,
    pub credential: Option<String>,
    pub credential_version: Option<i64>,
    /// Tries to remove it that failed.
    pub failures: u32,
}

/// How long something is kept that nobody schedules for removal: longer than any job, and shorter than providers keep files.
const KEPT: &str = "25 days";

/// Writes down something that is about to be made, or that has been made. Returns our id of it.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn note(
    tx: &mut SchedulerTx,
    lease: &DispatchLease,
    kind: Kind,
    name: &str,
    remote_id: Option<&str>,
) -> Result<Uuid> {
    let object_id = Uuid::now_v7();
    let made = sqlx::query!(
        "INSERT INTO remote_objects (object_id, tenant_id, job_id, dispatch_id, kind, name, remote_id, place, credential,
            credential_version, run_at)
        SELECT $3, tenant_id, job_id, dispatch_id, $4, $5, $6, place, credential, credential_version, now() + $7::text::interval
        FROM dispatches WHERE dispatch_id = $1 AND lease_epoch = $2",
        lease.dispatch_id.0,
        lease.epoch,
        object_id,
        kind.name(),
        name,
        remote_id,
        KEPT,
    )
    .execute(tx.connection())
    .await?;
    if made.rows_affected() == 1 { Ok(object_id) } else { Err(Error::Fenced) }
}

/// The provider's id of something is known by now.
pub async fn name(tx: &mut SchedulerTx, object_id: Uuid, remote_id: &str) -> Result<()> {
    sqlx::query!("UPDATE remote_objects SET remote_id = $2 WHERE object_id = $1", object_id, remote_id)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// The provider batch and the results of a dispatch turned out to be somebody else's.
pub async fn disown(tx: &mut SchedulerTx, dispatch_id: DispatchId) -> Result<()> {
    sqlx::query!("DELETE FROM remote_objects WHERE dispatch_id = $1 AND kind <> 'upload'", dispatch_id.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Everything of a dispatch is to be removed now.
pub async fn release(tx: &mut SchedulerTx, dispatch_id: DispatchId) -> Result<()> {
    sqlx::query!("UPDATE remote_objects SET run_at = now() WHERE dispatch_id = $1", dispatch_id.0)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Takes up to `limit` things whose time has come, for as long as `lease`.
pub async fn claim(tx: &mut SchedulerTx, lease: Duration, limit: i64) -> Result<Vec<RemoteObject>> {
    let rows = sqlx::query!(
        "UPDATE remote_objects o SET run_at = now() + $1::float8 * interval '1 second'
        FROM (
            SELECT object_id FROM remote_objects WHERE run_at <= now() ORDER BY run_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
        ) due
        WHERE o.object_id = due.object_id
        RETURNING o.object_id, o.tenant_id, o.dispatch_id, o.kind, o.name, o.remote_id, o.place, o.credential,
            o.credential_version, o.failures",
        lease.as_secs_f64(),
        limit,
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = Kind::from_name(&row.kind).ok_or_else(|| Error::inconsistent("remote_objects", row.kind))?;
            Ok(RemoteObject {
                object_id: row.object_id,
                tenant_id: TenantId(row.tenant_id),
                dispatch_id: DispatchId(row.dispatch_id),
                kind,
                name: row.name,
                remote_id: row.remote_id,
                place: row.place,
                credential: row.credential,
                credential_version: row.credential_version,
                failures: u32::try_from(row.failures).unwrap_or(0),
            })
        })
        .collect()
}

/// It is gone there, or was given up.
pub async fn forget(tx: &mut SchedulerTx, object_id: Uuid) -> Result<()> {
    sqlx::query!("DELETE FROM remote_objects WHERE object_id = $1", object_id).execute(tx.connection()).await?;
    Ok(())
}

/// It could not be removed; another try comes after `wait`.
pub async fn postpone(tx: &mut SchedulerTx, object_id: Uuid, wait: Duration) -> Result<()> {
    sqlx::query!(
        "UPDATE remote_objects SET failures = failures + 1, run_at = now() + $2::float8 * interval '1 second'
        WHERE object_id = $1",
        object_id,
        wait.as_secs_f64(),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
