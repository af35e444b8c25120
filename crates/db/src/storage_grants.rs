//! Where in object storage a tenant's jobs may read and write.

use domain::ids::GrantId;
use domain::storage_uri::{StoragePrefix, StorageUri};

use crate::{Error, Result, TenantTx};

#[derive(Debug, Clone)]
pub struct Grant {
    pub grant_id: GrantId,
    pub uri_prefix: String,
    pub read: bool,
    pub write: bool,
    pub credential: Option<String>,
}

impl Grant {
    /// As the public API calls it.
    pub fn access(&self) -> &'static str {
        match (self.read, self.write) {
            (true, false) => "read",
            (false, true) => "write",
            (true, true) | (false, false) => "read_write",
        }
    }
}

/// # Errors
/// [`Error::Inconsistent`] if the credential does not exist.
pub async fn insert(tx: &mut TenantTx, grant: &Grant) -> Result<()> {
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "INSERT INTO storage_grants (grant_id, tenant_id, uri_prefix, access, credential) VALUES ($1, $2, $3, $4, $5)",
        grant.grant_id.0,
        tenant_id.0,
        grant.uri_prefix,
        grant.access(),
        grant.credential,
    )
    .execute(tx.connection())
    .await
    .map_err(|error| match &error {
        sqlx::Error::Database(database) if database.is_foreign_key_violation() => {
            Error::inconsistent("storage_grants", "no such credential or tenant")
        }
        _ => Error::Sql(error),
    })?;
    Ok(())
}

/// The tenant's grants, oldest first.
pub async fn list(tx: &mut TenantTx) -> Result<Vec<Grant>> {
    let rows = sqlx::query!("SELECT grant_id, uri_prefix, access, credential FROM storage_grants ORDER BY grant_id")
        .fetch_all(tx.connection())
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Grant {
            grant_id: GrantId(row.grant_id),
            uri_prefix: row.uri_prefix,
            read: row.access != "write",
            write: row.access != "read",
            credential: row.credential,
        })
        .collect())
}

/// Returns false if the tenant has no such grant.
pub async fn delete(tx: &mut TenantTx, grant_id: GrantId) -> Result<bool> {
    let deleted =
        sqlx::query!("DELETE FROM storage_grants WHERE grant_id = $1", grant_id.0).execute(tx.connection()).await?;
    Ok(deleted.rows_affected() == 1)
}

/// The tenant's grant that lets it read (or write) an object. Of several, the one with the longest prefix.
pub async fn covering(tx: &mut TenantTx, uri: &StorageUri, write: bool) -> Result<Option<Grant>> {
    let grants = list(tx).await?.into_iter();
    Ok(grants
        .filter(|grant| if write { grant.write } else { grant.read })
        .filter(|grant| grant.uri_prefix.parse::<StoragePrefix>().is_ok_and(|prefix| uri.is_below(&prefix)))
        .max_by_key(|grant| grant.uri_prefix.len()))
}
