//! `/v1/admin/providers`

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use db::providers::Stored;
use domain::provider::ProviderRecord;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::records::{self, BatchSchema, RealtimeSchema};
use super::{check_name, check_unused, credentials, version_conflict};
use crate::auth::Admin;
use crate::body::JsonBody;
use crate::path::Ids;
use crate::problem::Problem;
use crate::query::{NoQuery, Query};
use crate::{App, cursor};

/// A provider record.
#[derive(ToSchema)]
#[schema(as = ProviderRecord)]
#[expect(dead_code, reason = "only its schema is used")]
struct ProviderRequest {
    /// `openai`, `azure-openai`, `anthropic`, `gemini`, `mistral`, `groq`, `together`, or `openai-compatible` for any server with
    /// `/chat/completions`.
    driver: String,
    #[schema(example = "https://api.openai.com/v1")]
    base_url: String,
    /// Name of a stored credential. Default: calls carry no key.
    credential: Option<String>,
    /// Null: there is no real-time API. Default: one whose limits are unknown.
    realtime: Option<RealtimeSchema>,
    /// Null, the default: there is no batch API.
    batch: Option<BatchSchema>,
    /// Name of a stored secret (`whsec_…`) that the provider signs its webhooks with. Default: it sends none.
    webhook_credential: Option<String>,
    /// Settings of the driver: `anthropic_version` of `anthropic`, `batch_endpoint` of `azure-openai`.
    options: Option<BTreeMap<String, String>>,
    /// As the record was shown; if it is there, it must be the path's.
    id: Option<String>,
    /// The version to replace, as the record was shown. Default: whatever is there.
    version: Option<i64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Provider)]
pub(crate) struct ProviderView {
    id: String,
    /// One more with each change.
    version: i64,
    #[schema(example = "openai")]
    driver: &'static str,
    base_url: String,
    credential: Option<String>,
    #[schema(value_type = Option<RealtimeSchema>)]
    realtime: Value,
    #[schema(value_type = Option<BatchSchema>)]
    batch: Value,
    webhook_credential: Option<String>,
    options: BTreeMap<String, String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ProviderPage {
    data: Vec<ProviderView>,
    /// For the page after this one; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl ProviderView {
    fn new(id: String, stored: Stored<ProviderRecord>) -> Self {
        let Stored { record, json, version } = stored;
        Self {
            id,
            version,
            driver: record.driver.name(),
            base_url: record.base_url,
            credential: record.credential,
            realtime: records::part(&json, "realtime", json!({})),
            batch: records::part(&json, "batch", Value::Null),
            webhook_credential: record.webhook_credential,
            options: record.options,
        }
    }
}

/// Create or replace a provider record. Running jobs follow it from their next dispatch on.
#[utoipa::path(
    put, path = "/v1/admin/providers/{id}", operation_id = "put_provider", tag = "admin", request_body = ProviderRequest,
    params(("id" = String, Path, description = "The part of a job's model before the slash")),
    responses((status = 200, description = "Stored", body = ProviderView), (status = 409, description = "version_conflict"))
)]
pub(crate) async fn put(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((id,)): Ids<(String,)>,
    body: JsonBody,
) -> Result<Json<ProviderView>, Problem> {
    check_name(&id)?;
    let put = records::provider(body.value, &id, app.config.allow_private)?;
    let named = [
        ("/credential", put.record.credential.as_deref()),
        ("/webhook_credential", put.record.webhook_credential.as_deref()),
    ];
    credentials::require(&app, &named).await?;
    if let Some(name) = &put.record.webhook_credential {
        credentials::require_signing(&app, name).await?;
    }
    let mut tx = app.db.scheduler().await?;
    let version = db::providers::put(&mut tx, &id, &put.json, put.expected).await?.ok_or_else(version_conflict)?;
    tx.commit().await?;
    Ok(Json(ProviderView::new(id, Stored { record: put.record, json: put.json, version })))
}

/// Look a provider record up.
#[utoipa::path(
    get, path = "/v1/admin/providers/{id}", operation_id = "get_provider", tag = "admin",
    params(("id" = String, Path, description = "The part of a job's model before the slash")),
    responses((status = 200, description = "The record", body = ProviderView))
)]
pub(crate) async fn get(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((id,)): Ids<(String,)>,
) -> Result<Json<ProviderView>, Problem> {
    check_name(&id).map_err(|_| Problem::not_found())?;
    let mut tx = app.db.scheduler().await?;
    let stored = db::providers::get(&mut tx, &id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Json(ProviderView::new(id, stored)))
}

/// List provider records by id.
#[utoipa::path(
    get, path = "/v1/admin/providers", operation_id = "list_providers", tag = "admin",
    params(
        ("limit" = Option<u64>, Query, description = "1 to 100; default 20"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of records", body = ProviderPage))
)]
pub(crate) async fn list(_: Admin, State(app): State<App>, mut query: Query) -> Result<Json<ProviderPage>, Problem> {
    const SCOPE: [&str; 1] = ["providers"];
    let limit = query.limit();
    let cursor = query.take("cursor");
    query.finish()?;
    let after = cursor.map(|cursor| cursor::decode_text(&cursor, &SCOPE)).transpose()?.unwrap_or_default();
    let mut tx = app.db.scheduler().await?;
    // One more than asked for tells whether there is another page.
    let wanted = i64::try_from(limit + 1).expect("at most 101");
    let mut providers = db::providers::list(&mut tx, &after, wanted).await?;
    tx.commit().await?;
    let more = providers.len() > limit;
    providers.truncate(limit);
    let next_cursor = providers.last().filter(|_| more).map(|(id, _)| cursor::encode_text(id, &SCOPE));
    let data = providers.into_iter().map(|(id, stored)| ProviderView::new(id, stored)).collect();
    Ok(Json(ProviderPage { data, next_cursor }))
}

/// Delete a provider record and its models' records. One that came with the binary does not come back.
#[utoipa::path(
    delete, path = "/v1/admin/providers/{id}", operation_id = "delete_provider", tag = "admin",
    params(("id" = String, Path, description = "The part of a job's model before the slash")),
    responses((status = 204, description = "Deleted"), (status = 409, description = "in_use"))
)]
pub(crate) async fn delete(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((id,)): Ids<(String,)>,
) -> Result<StatusCode, Problem> {
    check_name(&id).map_err(|_| Problem::not_found())?;
    let mut tx = app.db.scheduler().await?;
    check_unused(&mut tx, &id, None).await?;
    if !db::providers::delete(&mut tx, &id).await? {
        return Err(Problem::not_found());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
