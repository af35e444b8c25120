//! The capability table.

use domain::provider::{ModelName, ModelRecord, ProviderRecord};
use serde::de::DeserializeOwned;

use crate::{Error, Result, SchedulerTx, Tx};

/// A model with its provider, and the versions of both records.
#[derive(Debug, Clone)]
pub struct Capability {
    pub name: ModelName,
    pub provider: ProviderRecord,
    pub provider_version: i64,
    pub model: ModelRecord,
    pub model_version: i64,
}

/// Creates or replaces a provider record. Returns its new version.
pub async fn put(tx: &mut SchedulerTx, provider_id: &str, record: &ProviderRecord) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "INSERT INTO provider_records (provider_id, record) VALUES ($1, $2)
        ON CONFLICT (provider_id) DO UPDATE
            SET record = excluded.record, version = provider_records.version + 1, updated_at = now()
        RETURNING version",
        provider_id,
        to_json(record),
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Creates or replaces a model record. Returns its new version, or `None` if there is no such provider.
pub async fn put_model(tx: &mut SchedulerTx, name: &ModelName, record: &ModelRecord) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar!(
        "INSERT INTO models (provider_id, model, record)
        SELECT provider_id, $2, $3 FROM provider_records WHERE provider_id = $1
        ON CONFLICT (provider_id, model) DO UPDATE
            SET record = excluded.record, version = models.version + 1, updated_at = now()
        RETURNING version",
        name.provider,
        name.model,
        to_json(record),
    )
    .fetch_optional(tx.connection())
    .await?)
}

pub async fn get(tx: &mut impl Tx, provider_id: &str) -> Result<Option<(ProviderRecord, i64)>> {
    let row = sqlx::query!("SELECT record, version FROM provider_records WHERE provider_id = $1", provider_id)
        .fetch_optional(tx.connection())
        .await?;
    row.map(|row| Ok((from_json("provider_records", row.record)?, row.version))).transpose()
}

/// A model that can be used now.
pub async fn capability(tx: &mut impl Tx, name: &ModelName) -> Result<Option<Capability>> {
    let row = sqlx::query!(
        r#"SELECT p.record AS provider, p.version AS provider_version, m.record AS model, m.version AS model_version
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
            provider: from_json("provider_records", row.provider)?,
            provider_version: row.provider_version,
            model: from_json("models", row.model)?,
            model_version: row.model_version,
        })
    })
    .transpose()
}

/// All models that can be used now, by name.
pub async fn capabilities(tx: &mut impl Tx) -> Result<Vec<Capability>> {
    let rows = sqlx::query!(
        r#"SELECT p.provider_id, m.model AS model_name, p.record AS provider, p.version AS provider_version, m.record AS model,
            m.version AS model_version
        FROM models m JOIN provider_records p USING (provider_id)
        ORDER BY m.provider_id, m.model"#
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Capability {
                name: ModelName { provider: row.provider_id, model: row.model_name },
                provider: from_json("provider_records", row.provider)?,
                provider_version: row.provider_version,
                model: from_json("models", row.model)?,
                model_version: row.model_version,
            })
        })
        .collect()
}

fn to_json(record: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(record).expect("records are structs with string keys")
}

fn from_json<T: DeserializeOwned>(table: &'static str, record: serde_json::Value) -> Result<T> {
    serde_json::from_value(record).map_err(|error| Error::inconsistent(table, error.to_string()))
}
