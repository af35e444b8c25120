//! Secrets of providers and object stores, encrypted at rest.

use secrecy::{ExposeSecret, SecretString};

use crate::{Error, MasterKey, Result, SchedulerTx};

/// Stores or replaces a secret: a text, or a JSON object for signed schemes.
pub async fn put(tx: &mut SchedulerTx, key: &MasterKey, name: &str, secret: &SecretString) -> Result<()> {
    let sealed = key.seal(name, secret.expose_secret().as_bytes());
    sqlx::query!(
        "INSERT INTO credentials (name, sealed) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, updated_at = now()",
        name,
        sealed,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// # Errors
/// [`Error::MasterKey`] if it was stored under another master key.
pub async fn get(tx: &mut SchedulerTx, key: &MasterKey, name: &str) -> Result<Option<SecretString>> {
    let sealed = sqlx::query_scalar!("SELECT sealed FROM credentials WHERE name = $1", name)
        .fetch_optional(tx.connection())
        .await?;
    sealed
        .map(|sealed| {
            let secret = String::from_utf8(key.open(name, &sealed)?);
            Ok(secret.map_err(|_| Error::inconsistent("credentials", "a secret is not UTF-8"))?.into())
        })
        .transpose()
}

/// Whether a credential of this name exists.
pub async fn exists(tx: &mut SchedulerTx, name: &str) -> Result<bool> {
    Ok(sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM credentials WHERE name = $1) AS "exists!""#, name)
        .fetch_one(tx.connection())
        .await?)
}
