//! Model records.

use domain::provider::{ModelName, ModelRecord};
use serde_json::Value;

use crate::providers::{Stored, read, stored};
use crate::{Result, SchedulerTx};

/// Creates or replaces a model record. Returns its new version, or `None` if there is no such provider, or a record that is not of
/// the version expected.
///
/// # Errors
/// [`crate::Error::Inconsistent`] if it is no model record.
pub async fn put(tx: &mut SchedulerTx, name: &ModelName, record: &Value, expected: Option<i64>) -> Result<Option<i64>> {
    read::<ModelRecord>("models", record)?;
    Ok(sqlx::query_scalar!(
        "INSERT INTO models (provider_id, model, record, version)
        SELECT provider_id, $2, $3, coalesce((SELECT version FROM deleted_records WHERE name = $4), 0) + 1
        FROM provider_records WHERE provider_id = $1
        ON CONFLICT (provider_id, model) DO UPDATE
            SET record = excluded.record, version = models.version + 1, updated_at = now()
            WHERE models.version = coalesce($5, models.version)
        RETURNING version",
        name.provider,
        name.model,
        record,
        name.to_string(),
        expected,
    )
    .fetch_optional(tx.connection())
    .await?)
}

pub async fn get(tx: &mut SchedulerTx, name: &ModelName) -> Result<Option<Stored<ModelRecord>>> {
    let row = sqlx::query!(
        "SELECT record, version FROM models WHERE provider_id = $1 AND model = $2",
        name.provider,
        name.model
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(|row| stored("models", row.record, row.version)).transpose()
}

/// Up to `limit` model records by provider and name, after one of them.
pub async fn list(
    tx: &mut SchedulerTx,
    after: Option<&ModelName>,
    limit: i64,
) -> Result<Vec<(ModelName, Stored<ModelRecord>)>> {
    let (provider, model) = after.map_or(("", ""), |name| (&name.provider, &name.model));
    let rows = sqlx::query!(
        "SELECT provider_id, model, record, version FROM models WHERE (provider_id, model) > ($1, $2)
        ORDER BY provider_id, model LIMIT $3",
        provider,
        model,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            let name = ModelName { provider: row.provider_id, model: row.model };
            Ok((name, stored("models", row.record, row.version)?))
        })
        .collect()
}

/// Deletes a model record. Returns false if there is none.
pub async fn delete(tx: &mut SchedulerTx, name: &ModelName) -> Result<bool> {
    let deleted = sqlx::query!(
        "WITH deleted AS (DELETE FROM models WHERE provider_id = $1 AND model = $2 RETURNING version)
        INSERT INTO deleted_records (name, version) SELECT $3, version FROM deleted
        ON CONFLICT (name) DO UPDATE SET version = excluded.version",
        name.provider,
        name.model,
        name.to_string(),
    )
    .execute(tx.connection())
    .await?;
    Ok(deleted.rows_affected() == 1)
}
