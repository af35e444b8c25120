//! Provider records, and the capability table that they make with the models' records.

use domain::provider::{ModelName, ModelRecord, ProviderRecord};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Result, SchedulerTx, Tx};

/// A record as it is read, and as it was written.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    pub record: T,
    pub json: Value,
    /// One more with each change; no two records that ever had one name have one version.
    pub version: i64,
}

/// A model with its provider, and the versions of both records.
#[derive(Debug, Clone)]
pub struct Capability {
    pub name: ModelName,
    pub provider: ProviderRecord,
    pub provider_version: i64,
    pub model: ModelRecord,
    pub model_version: i64,
    /// The credential that the provider's record names is stored, or it names none.
    pub has_credential: bool,
}

/// Creates or replaces a provider record. Returns its new version, or `None` if there is one that is not of the version expected.
///
/// # Errors
/// [`Error::Inconsistent`] if it is no provider record.
pub async fn put(
    tx: &mut SchedulerTx,
    provider_id: &str,
    record: &Value,
    expected: Option<i64>,
) -> Result<Option<i64>> {
    read::<ProviderRecord>("provider_records", record)?;
    Ok(sqlx::query_scalar!(
        "INSERT INTO provider_records (provider_id, record, version)
        VALUES ($1, $2, coalesce((SELECT version FROM deleted_records WHERE name = $1), 0) + 1)
        ON CONFLICT (provider_id) DO UPDATE
            SET record = excluded.record, version = provider_records.version + 1, updated_at = now()
            WHERE provider_records.version = coalesce($3, provider_records.version)
        RETURNING version",
        provider_id,
        record,
        expected,
    )
    .fetch_optional(tx.connection())
    .await?)
}

pub async fn get(tx: &mut impl Tx, provider_id: &str) -> Result<Option<Stored<ProviderRecord>>> {
    let row = sqlx::query!("SELECT record, version FROM provider_records WHERE provider_id = $1", provider_id)
        .fetch_optional(tx.connection())
        .await?;
    row.map(|row| stored("provider_records", row.record, row.version)).transpose()
}

/// Up to `limit` provider records by id, after an id.
pub async fn list(tx: &mut SchedulerTx, after: &str, limit: i64) -> Result<Vec<(String, Stored<ProviderRecord>)>> {
    let rows = sqlx::query!(
        "SELECT provider_id, record, version FROM provider_records WHERE provider_id > $1 ORDER BY provider_id LIMIT $2",
        after,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter().map(|row| Ok((row.provider_id, stored("provider_records", row.record, row.version)?))).collect()
}

/// Deletes a provider record and its models' records. Returns false if there is none.
pub async fn delete(tx: &mut SchedulerTx, provider_id: &str) -> Result<bool> {
    let deleted = sqlx::query!(
        "WITH deleted AS (DELETE FROM provider_records WHERE provider_id = $1 RETURNING version)
        INSERT INTO deleted_records (name, version) SELECT $1, version FROM deleted
        ON CONFLICT (name) DO UPDATE SET version = excluded.version",
        provider_id
    )
    .execute(tx.connection())
    .await?;
    Ok(deleted.rows_affected() == 1)
}

/// How many jobs of a provider (or, where one is named, of a model of it) have not ended.
pub async fn unfinished_jobs(tx: &mut SchedulerTx, provider_id: &str, model: Option<&str>) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM jobs
        WHERE provider_id = $1 AND model = coalesce($2, model) AND state NOT IN ('completed', 'failed', 'cancelled', 'expired')"#,
        provider_id,
        model
    )
    .fetch_one(tx.connection())
    .await?)
}

/// A model as it is now.
pub async fn capability(tx: &mut impl Tx, name: &ModelName) -> Result<Option<Capability>> {
    let row = sqlx::query!(
        r#"SELECT p.record AS provider, p.version AS provider_version, m.record AS model, m.version AS model_version,
            p.record ->> 'credential' IS NULL
                OR EXISTS (SELECT FROM credentials c WHERE c.name = p.record ->> 'credential') AS "has_credential!"
        FROM models m JOIN provider_records p USING (provider_id)
        WHERE m.provider_id = $1 AND m.model = $2"#,
        name.provider,
        name.model,
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(|row| {
        Ok(Capability {
            name: name.clone(),
            provider: read("provider_records", &row.provider)?,
            provider_version: row.provider_version,
            model: read("models", &row.model)?,
            model_version: row.model_version,
            has_credential: row.has_credential,
        })
    })
    .transpose()
}

/// All models whose credential is stored, by name.
pub async fn capabilities(tx: &mut impl Tx) -> Result<Vec<Capability>> {
    let rows = sqlx::query!(
        r#"SELECT p.provider_id, m.model AS model_name, p.record AS provider, p.version AS provider_version, m.record AS model,
            m.version AS model_version
        FROM models m JOIN provider_records p USING (provider_id)
        WHERE p.record ->> 'credential' IS NULL OR EXISTS (SELECT FROM credentials c WHERE c.name = p.record ->> 'credential')
        ORDER BY m.provider_id, m.model"#
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Capability {
                name: ModelName { provider: row.provider_id, model: row.model_name },
                provider: read("provider_records", &row.provider)?,
                provider_version: row.provider_version,
                model: read("models", &row.model)?,
                model_version: row.model_version,
                has_credential: true,
            })
        })
        .collect()
}

pub(crate) fn stored<T: DeserializeOwned>(table: &'static str, json: Value, version: i64) -> Result<Stored<T>> {
    Ok(Stored { record: read(table, &json)?, json, version })
}

pub(crate) fn read<T: DeserializeOwned>(table: &'static str, json: &Value) -> Result<T> {
    T::deserialize(json).map_err(|error| Error::inconsistent(table, error.to_string()))
}
