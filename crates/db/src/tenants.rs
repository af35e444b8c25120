//! Teams.

use chrono::{DateTime, Utc};
use domain::ids::TenantId;

use crate::error::Error;
use crate::{Result, SchedulerTx, TenantTx};

#[derive(Debug, Clone)]
pub struct Tenant {
    pub tenant_id: TenantId,
    pub name: String,
    pub suspended: bool,
    pub weight: i32,
    pub quotas: serde_json::Value,
    pub created_at: DateTime<Utc>,
}

/// What an administrator may change; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub name: Option<String>,
    pub suspended: Option<bool>,
    pub weight: Option<i32>,
    pub quotas: Option<serde_json::Value>,
}

fn status(suspended: bool) -> &'static str {
    if suspended { "suspended" } else { "active" }
}

/// # Errors
/// [`Error::Exists`] if another tenant has the name.
pub async fn insert(tx: &mut TenantTx, name: &str, weight: i32, quotas: &serde_json::Value) -> Result<()> {
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "INSERT INTO tenants (tenant_id, name, weight, quotas) VALUES ($1, $2, $3, $4)",
        tenant_id.0,
        name,
        weight,
        quotas,
    )
    .execute(tx.connection())
    .await
    .map_err(name_taken)?;
    Ok(())
}

/// # Errors
/// [`Error::Exists`] if another tenant has the new name.
pub async fn update(tx: &mut TenantTx, change: &Change) -> Result<()> {
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "UPDATE tenants SET name = coalesce($2, name), status = coalesce($3, status), weight = coalesce($4, weight),
            quotas = coalesce($5, quotas)
        WHERE tenant_id = $1",
        tenant_id.0,
        change.name,
        change.suspended.map(status),
        change.weight,
        change.quotas,
    )
    .execute(tx.connection())
    .await
    .map_err(name_taken)?;
    tx.hint().await
}

/// Names must be unique over all tenants, which row-level security does not hide from the index.
fn name_taken(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            Error::Exists { what: "a tenant of this name" }
        }
        _ => Error::Sql(error),
    }
}

pub async fn get(tx: &mut TenantTx) -> Result<Option<Tenant>> {
    let tenant_id = tx.tenant_id();
    let row = sqlx::query!(
        "SELECT tenant_id, name, status, weight, quotas, created_at FROM tenants WHERE tenant_id = $1",
        tenant_id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Tenant {
        tenant_id: TenantId(row.tenant_id),
        name: row.name,
        suspended: row.status == "suspended",
        weight: row.weight,
        quotas: row.quotas,
        created_at: row.created_at,
    }))
}

/// All tenants, oldest first.
pub async fn list(tx: &mut SchedulerTx) -> Result<Vec<Tenant>> {
    let rows = sqlx::query!(
        "SELECT tenant_id, name, status, weight, quotas, created_at FROM tenants ORDER BY tenant_id LIMIT 10000"
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Tenant {
            tenant_id: TenantId(row.tenant_id),
            name: row.name,
            suspended: row.status == "suspended",
            weight: row.weight,
            quotas: row.quotas,
            created_at: row.created_at,
        })
        .collect())
}
