//! `/v1/admin/providers/{id}/models/{model}` and `/v1/admin/models`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use db::providers::Stored;
use domain::provider::{ModelName, ModelRecord, Task};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::records::{self, BatchSchema, PricesSchema, RealtimeSchema};
use super::{check_unused, version_conflict};
use crate::auth::Admin;
use crate::body::JsonBody;
use crate::path::Ids;
use crate::problem::Problem;
use crate::query::{NoQuery, Query};
use crate::{App, cursor};

/// A model record.
#[derive(ToSchema)]
#[schema(as = ModelRecord)]
#[expect(dead_code, reason = "only its schema is used")]
struct ModelRequest {
    /// The provider's own name of it.
    #[schema(example = "gpt-5-mini")]
    upstream_model: String,
    /// `["chat"]`, the default.
    tasks: Option<Vec<String>>,
    context_tokens: Option<u32>,
    max_output_tokens: Option<u32>,
    /// Default: unknown, so costs are unknown too.
    prices: Option<PricesSchema>,
    /// In place of the provider's, key by key. Null: this model has no real-time API.
    realtime: Option<RealtimeSchema>,
    /// In place of the provider's, key by key. Null: this model has no batch API.
    batch: Option<BatchSchema>,
    /// As the record was shown; if it is there, it must be the path's.
    id: Option<String>,
    /// The version to replace, as the record was shown. Default: whatever is there.
    version: Option<i64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StoredModel)]
pub(crate) struct StoredModelView {
    /// As a job's `model` names it.
    id: String,
    /// One more with each change.
    version: i64,
    upstream_model: String,
    tasks: Vec<&'static str>,
    context_tokens: Option<u32>,
    max_output_tokens: Option<u32>,
    #[schema(value_type = Option<PricesSchema>)]
    prices: Value,
    /// In place of the provider's, key by key. Null: this model has no real-time API.
    #[schema(value_type = Option<RealtimeSchema>)]
    realtime: Value,
    /// In place of the provider's, key by key. Null: this model has no batch API.
    #[schema(value_type = Option<BatchSchema>)]
    batch: Value,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct StoredModelPage {
    data: Vec<StoredModelView>,
    /// For the page after this one; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl StoredModelView {
    fn new(name: &ModelName, stored: Stored<ModelRecord>) -> Self {
        let Stored { record, json, version } = stored;
        Self {
            id: name.to_string(),
            version,
            upstream_model: record.upstream_model,
            tasks: record.tasks.into_iter().map(Task::name).collect(),
            context_tokens: record.context_tokens,
            max_output_tokens: record.max_output_tokens,
            prices: records::part(&json, "prices", Value::Null),
            realtime: records::part(&json, "realtime", json!({})),
            batch: records::part(&json, "batch", json!({})),
        }
    }
}

/// What can't be a model's name is nothing that exists.
fn name(provider: &str, model: &str) -> Result<ModelName, Problem> {
    format!("{provider}/{model}").parse().map_err(|_| Problem::not_found())
}

/// Create or replace a model record. Running jobs follow it from their next dispatch on.
#[utoipa::path(
    put, path = "/v1/admin/providers/{id}/models/{model}", operation_id = "put_model", tag = "admin", request_body = ModelRequest,
    params(
        ("id" = String, Path, description = "The provider"),
        ("model" = String, Path, description = "The part of a job's model after the slash; it may hold slashes itself"),
    ),
    responses((status = 200, description = "Stored", body = StoredModelView), (status = 409, description = "version_conflict"))
)]
pub(crate) async fn put(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((provider, model)): Ids<(String, String)>,
    body: JsonBody,
) -> Result<Json<StoredModelView>, Problem> {
    let name = name(&provider, &model)?;
    let mut tx = app.db.scheduler().await?;
    let provider = db::providers::get(&mut tx, &provider).await?.ok_or_else(Problem::not_found)?;
    let put = records::model(body.value, &name, provider.record.driver)?;
    let version = db::models::put(&mut tx, &name, &put.json, put.expected).await?.ok_or_else(version_conflict)?;
    tx.commit().await?;
    Ok(Json(StoredModelView::new(&name, Stored { record: put.record, json: put.json, version })))
}

/// Look a model record up.
#[utoipa::path(
    get, path = "/v1/admin/providers/{id}/models/{model}", operation_id = "get_model", tag = "admin",
    params(
        ("id" = String, Path, description = "The provider"),
        ("model" = String, Path, description = "The part of a job's model after the slash; it may hold slashes itself"),
    ),
    responses((status = 200, description = "The record", body = StoredModelView))
)]
pub(crate) async fn get(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((provider, model)): Ids<(String, String)>,
) -> Result<Json<StoredModelView>, Problem> {
    let name = name(&provider, &model)?;
    let mut tx = app.db.scheduler().await?;
    let stored = db::models::get(&mut tx, &name).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Json(StoredModelView::new(&name, stored)))
}

/// List all providers' model records by name. What tenants see of them is `GET /v1/models`.
#[utoipa::path(
    get, path = "/v1/admin/models", operation_id = "list_stored_models", tag = "admin",
    params(
        ("limit" = Option<u64>, Query, description = "1 to 100; default 20"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of records", body = StoredModelPage))
)]
pub(crate) async fn list(_: Admin, State(app): State<App>, mut query: Query) -> Result<Json<StoredModelPage>, Problem> {
    const SCOPE: [&str; 1] = ["models"];
    let limit = query.limit();
    let cursor = query.take("cursor");
    query.finish()?;
    let after = cursor.map(|cursor| cursor::decode_text(&cursor, &SCOPE)).transpose()?;
    let after: Option<ModelName> = after.and_then(|name| name.parse().ok());
    let mut tx = app.db.scheduler().await?;
    // One more than asked for tells whether there is another page.
    let wanted = i64::try_from(limit + 1).expect("at most 101");
    let mut models = db::models::list(&mut tx, after.as_ref(), wanted).await?;
    tx.commit().await?;
    let more = models.len() > limit;
    models.truncate(limit);
    let next_cursor = models.last().filter(|_| more).map(|(name, _)| cursor::encode_text(&name.to_string(), &SCOPE));
    let data = models.into_iter().map(|(name, stored)| StoredModelView::new(&name, stored)).collect();
    Ok(Json(StoredModelPage { data, next_cursor }))
}

/// Delete a model record. One that came with the binary does not come back.
#[utoipa::path(
    delete, path = "/v1/admin/providers/{id}/models/{model}", operation_id = "delete_model", tag = "admin",
    params(
        ("id" = String, Path, description = "The provider"),
        ("model" = String, Path, description = "The part of a job's model after the slash; it may hold slashes itself"),
    ),
    responses((status = 204, description = "Deleted"), (status = 409, description = "in_use"))
)]
pub(crate) async fn delete(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((provider, model)): Ids<(String, String)>,
) -> Result<StatusCode, Problem> {
    let name = name(&provider, &model)?;
    let mut tx = app.db.scheduler().await?;
    check_unused(&mut tx, &name.provider, Some(&name.model)).await?;
    if !db::models::delete(&mut tx, &name).await? {
        return Err(Problem::not_found());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
