//! Records that come with the binary. What is there is never changed by them, and what was deleted stays away.

use domain::provider::{ModelName, ModelRecord, ProviderRecord};
use serde_json::Value;

use crate::providers::read;
use crate::{Result, SchedulerTx};

/// Adds a provider record unless there is one, or was. Returns whether it was added.
///
/// # Errors
/// [`crate::Error::Inconsistent`] if it is no provider record.
pub async fn offer_provider(tx: &mut SchedulerTx, provider_id: &str, record: &Value) -> Result<bool> {
    read::<ProviderRecord>("provider_records", record)?;
    let added = sqlx::query!(
        "INSERT INTO provider_records (provider_id, record, version, from_defaults)
        SELECT $1, $2, 1, true WHERE NOT EXISTS (SELECT FROM deleted_records WHERE name = $1)
        ON CONFLICT DO NOTHING",
        provider_id,
        record,
    )
    .execute(tx.connection())
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Adds a model record to a provider record that came with a binary, unless there is one, or was. Returns whether it was added.
///
/// # Errors
/// [`crate::Error::Inconsistent`] if it is no model record.
pub async fn offer_model(tx: &mut SchedulerTx, name: &ModelName, record: &Value) -> Result<bool> {
    read::<ModelRecord>("models", record)?;
    let added = sqlx::query!(
        "INSERT INTO models (provider_id, model, record, version)
        SELECT provider_id, $2, $3, 1 FROM provider_records
        WHERE provider_id = $1 AND from_defaults AND NOT EXISTS (SELECT FROM deleted_records WHERE name = $4)
        ON CONFLICT DO NOTHING",
        name.provider,
        name.model,
        record,
        name.to_string(),
    )
    .execute(tx.connection())
    .await?;
    Ok(added.rows_affected() == 1)
}
