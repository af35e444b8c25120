//! `GET /v1/jobs/{id}/items`

pub(super) mod page;
mod status;

use axum::Json;
use axum::extract::State;
use domain::ids::JobId;
use serde::Serialize;
use utoipa::ToSchema;

use self::page::{Wanted, read};
use self::status::ItemStatus;
use super::item_view::Item;
use crate::App;
use crate::auth::{Read, Tenant};
use crate::cursor;
use crate::path::Ids;
use crate::problem::Problem;
use crate::query::Query;

#[derive(Serialize, ToSchema)]
pub(crate) struct ItemPage {
    data: Vec<Item>,
    /// For the page after this one; absent at the end. A page may be short, or empty, and not be the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List a job's items, in input order.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/items", operation_id = "list_items", tag = "items",
    params(
        ("id" = String, Path, description = "The job"),
        ("status" = Option<String>, Query, description = "Only items in this state"),
        ("limit" = Option<u64>, Query, description = "1 to 100; default 20"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, with the same filters"),
    ),
    responses((status = 200, description = "A page of items", body = ItemPage))
)]
pub(crate) async fn items(
    tenant: Tenant<Read>,
    State(app): State<App>,
    Ids((job_id,)): Ids<(JobId,)>,
    mut query: Query,
) -> Result<Json<ItemPage>, Problem> {
    let limit = query.limit();
    let status = query.choice("status", &ItemStatus::ALL.map(ItemStatus::name), ItemStatus::from_name);
    let cursor = query.take("cursor");
    query.finish()?;

    let job = job_id.to_string();
    let scope = ["items", &job, status.map_or("", ItemStatus::name)];
    let from = cursor.map(|cursor| cursor::decode(&cursor, &scope)).transpose()?.unwrap_or(0);
    let from_row = u64::try_from(from).unwrap_or(u64::MAX);
    let page = read(&app, tenant.id, Wanted { job_id, from_row, status, limit }).await?;
    let next_cursor = page.next_row.map(|row| cursor::encode(row.into(), &scope));
    Ok(Json(ItemPage { data: page.items, next_cursor }))
}
