//! Secrets of providers and object stores, encrypted at rest. A replaced secret stays for as long as something needs it.

use secrecy::{ExposeSecret, SecretString};

use crate::{Error, MasterKey, Result, SchedulerTx};

/// A secret, and which of its name's secrets it is.
#[derive(Debug, Clone)]
pub struct Credential {
    pub secret: SecretString,
    /// From 1; one more with each change.
    pub version: i64,
}

/// Stores a secret (a text, or a JSON object for signed schemes) as the newest of its name. Returns its version.
pub async fn put(tx: &mut SchedulerTx, key: &MasterKey, name: &str, secret: &SecretString) -> Result<i64> {
    let sealed = key.seal(name, secret.expose_secret().as_bytes());
    Ok(sqlx::query_scalar!(
        "WITH newest AS (
            INSERT INTO credentials (name) VALUES ($1)
            ON CONFLICT (name) DO UPDATE SET version = credentials.version + 1
            RETURNING version
        )
        INSERT INTO credential_versions (name, version, sealed) SELECT $1, version, $2 FROM newest RETURNING version",
        name,
        sealed,
    )
    .fetch_one(tx.connection())
    .await?)
}

/// The newest secret of a name.
///
/// # Errors
/// [`Error::MasterKey`] if it was stored under another master key.
pub async fn get(tx: &mut SchedulerTx, key: &MasterKey, name: &str) -> Result<Option<Credential>> {
    let row = sqlx::query!(
        "SELECT version, sealed FROM credentials JOIN credential_versions USING (name, version) WHERE name = $1",
        name
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(|row| Ok(Credential { secret: open(key, name, &row.sealed)?, version: row.version })).transpose()
}

/// One of a name's secrets, replaced or not. `None`: it is forgotten.
///
/// # Errors
/// [`Error::MasterKey`] if it was stored under another master key.
pub async fn get_version(
    tx: &mut SchedulerTx,
    key: &MasterKey,
    name: &str,
    version: i64,
) -> Result<Option<SecretString>> {
    let sealed =
        sqlx::query_scalar!("SELECT sealed FROM credential_versions WHERE name = $1 AND version = $2", name, version)
            .fetch_optional(tx.connection())
            .await?;
    sealed.map(|sealed| open(key, name, &sealed)).transpose()
}

/// The newest version of a name's secrets.
pub async fn version(tx: &mut SchedulerTx, name: &str) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar!("SELECT version FROM credentials WHERE name = $1", name)
        .fetch_optional(tx.connection())
        .await?)
}

/// Whether a credential of this name exists.
pub async fn exists(tx: &mut SchedulerTx, name: &str) -> Result<bool> {
    Ok(sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM credentials WHERE name = $1) AS "exists!""#, name)
        .fetch_one(tx.connection())
        .await?)
}

/// Forgets secrets that were replaced an hour ago or earlier, but for those that provider batches were made with or files at
/// providers are kept under. Within the hour, whoever read a secret may be about to note that it uses it. Returns how many are gone.
pub async fn forget_unused(tx: &mut SchedulerTx) -> Result<u64> {
    let deleted = sqlx::query!(
        "DELETE FROM credential_versions old
        WHERE EXISTS (
                SELECT FROM credential_versions newer
                WHERE newer.name = old.name AND newer.version > old.version AND newer.created_at <= now() - interval '1 hour'
            )
            AND NOT EXISTS (
                SELECT FROM dispatches WHERE credential = old.name AND credential_version = old.version
                UNION ALL
                SELECT FROM remote_objects WHERE credential = old.name AND credential_version = old.version
            )"
    )
    .execute(tx.connection())
    .await?;
    Ok(deleted.rows_affected())
}

fn open(key: &MasterKey, name: &str, sealed: &[u8]) -> Result<SecretString> {
    let secret = String::from_utf8(key.open(name, sealed)?);
    Ok(secret.map_err(|_| Error::inconsistent("credential_versions", "a secret is not UTF-8"))?.into())
}
