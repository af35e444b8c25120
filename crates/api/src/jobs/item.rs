//! `GET /v1/jobs/{id}/items/{row}`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use dataset::attempts::{self, AttemptRecord};
use db::items::StoredAttempt;
use domain::ids::{JobId, TenantId};
use serde::Serialize;
use utoipa::ToSchema;

use super::item_view::{Item, ItemUsage};
use super::items::page::{self, Wanted};
use crate::App;
use crate::auth::{Read, Tenant};
use crate::path::Ids;
use crate::problem::Problem;
use crate::query::NoQuery;

#[derive(Serialize, ToSchema)]
pub(crate) struct ItemWithAttempts {
    #[serde(flatten)]
    item: Item,
    /// Requests that did not become the item's outcome, in order. A first-try success has none.
    attempts_log: Vec<Attempt>,
}

#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the public names")]
struct Attempt {
    /// From 1.
    attempt: u32,
    model: String,
    error_code: Option<String>,
    error: Option<String>,
    http_status: Option<u16>,
    provider_request_id: Option<String>,
    usage: ItemUsage,
    /// It came after the row had its outcome: billed, and not merged.
    late: bool,
    at: DateTime<Utc>,
}

/// Look one item up, with its attempts.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/items/{row}", operation_id = "get_item", tag = "items",
    params(("id" = String, Path, description = "The job"), ("row" = u64, Path, description = "The input row, from 0")),
    responses((status = 200, description = "The item", body = ItemWithAttempts))
)]
pub(crate) async fn item(
    tenant: Tenant<Read>,
    State(app): State<App>,
    Ids((job_id, row)): Ids<(JobId, u64)>,
    _: NoQuery,
) -> Result<Json<ItemWithAttempts>, Problem> {
    let wanted = Wanted { job_id, from_row: row, status: None, limit: 1 };
    let page = page::read(&app, tenant.id, wanted).await?;
    let item = page.items.into_iter().find(|item| item.row == row).ok_or_else(Problem::not_found)?;
    let attempts_log = log(&app, tenant.id, job_id, row).await?;
    Ok(Json(ItemWithAttempts { item, attempts_log }))
}

async fn log(app: &App, tenant_id: TenantId, job_id: JobId, row: u64) -> Result<Vec<Attempt>, Problem> {
    let mut tx = app.db.tenant(tenant_id).await?;
    let generation = db::jobs::get(&mut tx, job_id).await?.ok_or_else(Problem::not_found)?.generation;
    let first = db::chunks::of_row(&mut tx, job_id, row).await?.ok_or_else(Problem::not_found)?;
    let chunk =
        db::items::chunks(&mut tx, job_id, generation, first, None, 1).await?.pop().ok_or_else(Problem::not_found)?;
    let stored = db::items::attempts(&mut tx, job_id, generation, row, 1, true).await?;
    tx.commit().await?;
    let mut log = Vec::new();
    if let Some(path) = chunk.summary.and_then(|summary| summary.attempts_path) {
        let files = app.work.job(tenant_id, job_id);
        let file = files.read(&path).await.map_err(|error| Problem::of_work_file(&error))?;
        let offset = row - chunk.first_row;
        log.extend(
            attempts::decode(file)?.into_iter().filter(|attempt| u64::from(attempt.row) == offset).map(Attempt::from),
        );
    }
    log.extend(stored.into_iter().map(Attempt::from));
    log.sort_by_key(|attempt| attempt.attempt);
    Ok(log)
}

impl From<AttemptRecord> for Attempt {
    fn from(record: AttemptRecord) -> Self {
        let (error_code, error) = record.error.map(|error| (error.code, error.message)).unzip();
        Self {
            attempt: record.attempt,
            model: record.model,
            error_code,
            error,
            http_status: record.http_status,
            provider_request_id: record.provider_request_id,
            usage: ItemUsage::new(record.usage, record.cost),
            late: record.late,
            at: record.at,
        }
    }
}

impl From<StoredAttempt> for Attempt {
    fn from(stored: StoredAttempt) -> Self {
        let (error_code, error) = stored.error.map(|error| (error.code, error.message)).unzip();
        Self {
            attempt: stored.attempt,
            model: stored.model,
            error_code,
            error,
            http_status: stored.http_status,
            provider_request_id: stored.request_id,
            usage: ItemUsage::new(stored.usage, stored.cost),
            late: stored.late,
            at: stored.created_at,
        }
    }
}
