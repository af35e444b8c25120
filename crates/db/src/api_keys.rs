//! API keys, without the secrets.

use chrono::{DateTime, Utc};
use domain::ids::{KeyId, TenantId};

use crate::{Result, SchedulerTx, TenantTx};

/// A key as lists show it.
#[derive(Debug, Clone)]
pub struct Key {
    pub key_id: KeyId,
    pub name: String,
    pub last_four: String,
    pub scopes: Vec<String>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// A key to store.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub key_id: KeyId,
    pub name: String,
    /// Of the whole key.
    pub sha256: [u8; 32],
    pub last_four: String,
    pub scopes: Vec<String>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Who a key says its bearer is.
#[derive(Debug, Clone)]
pub struct Bearer {
    pub key_id: KeyId,
    /// None: an administrator.
    pub tenant_id: Option<TenantId>,
    pub scopes: Vec<String>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub tenant_suspended: bool,
    /// Not used for a minute or more: worth a [`touch`].
    pub stale: bool,
}

/// Stores a key of the transaction's tenant.
pub async fn insert(tx: &mut TenantTx, key: &NewKey) -> Result<()> {
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "INSERT INTO api_keys (key_id, tenant_id, name, sha256, last_four, scopes, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)",
        key.key_id.0,
        tenant_id.0,
        key.name,
        &key.sha256[..],
        key.last_four,
        &key.scopes,
        key.expires_at,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Stores an administrator's key.
pub async fn insert_admin(tx: &mut SchedulerTx, key: &NewKey) -> Result<()> {
    sqlx::query!(
        "INSERT INTO api_keys (key_id, name, sha256, last_four, scopes, expires_at) VALUES ($1, $2, $3, $4, ARRAY['admin'], $5)",
        key.key_id.0,
        key.name,
        &key.sha256[..],
        key.last_four,
        key.expires_at,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether an administrator's key was ever made.
pub async fn any_admin(tx: &mut SchedulerTx) -> Result<bool> {
    let exists = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM api_keys WHERE tenant_id IS NULL) AS "exists!""#)
        .fetch_one(tx.connection())
        .await?;
    Ok(exists)
}

/// The bearer of the key with this hash.
pub async fn find(tx: &mut SchedulerTx, sha256: [u8; 32]) -> Result<Option<Bearer>> {
    let row = sqlx::query!(
        r#"SELECT k.key_id, k.tenant_id AS "tenant_id?", k.scopes, k.expires_at, k.revoked_at,
            coalesce(t.status = 'suspended', false) AS "suspended!",
            coalesce(k.last_used_at < now() - interval '1 minute', true) AS "stale!"
        FROM api_keys k LEFT JOIN tenants t USING (tenant_id)
        WHERE k.sha256 = $1"#,
        &sha256[..],
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Bearer {
        key_id: KeyId(row.key_id),
        tenant_id: row.tenant_id.map(TenantId),
        scopes: row.scopes,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
        tenant_suspended: row.suspended,
        stale: row.stale,
    }))
}

/// Notes a use, at most once a minute, so that a busy key is no hot row.
pub async fn touch(tx: &mut SchedulerTx, key_id: KeyId) -> Result<()> {
    sqlx::query!(
        "UPDATE api_keys SET last_used_at = now()
        WHERE key_id = $1 AND coalesce(last_used_at < now() - interval '1 minute', true)",
        key_id.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The tenant's keys, oldest first.
pub async fn list(tx: &mut TenantTx) -> Result<Vec<Key>> {
    let rows = sqlx::query!(
        "SELECT key_id, name, last_four, scopes, expires_at, revoked_at, last_used_at, created_at
        FROM api_keys ORDER BY key_id LIMIT 1000"
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Key {
            key_id: KeyId(row.key_id),
            name: row.name,
            last_four: row.last_four,
            scopes: row.scopes,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
        })
        .collect())
}

/// Refuses the key from now on. Returns false if the tenant has no such key.
pub async fn revoke(tx: &mut TenantTx, key_id: KeyId) -> Result<bool> {
    let changed =
        sqlx::query!("UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE key_id = $1", key_id.0)
            .execute(tx.connection())
            .await?;
    Ok(changed.rows_affected() == 1)
}
