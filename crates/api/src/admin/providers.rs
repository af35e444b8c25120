//! `/v1/admin/providers/{id}`

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use domain::provider::{Driver, ProviderRecord};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::records::{RealtimeView, realtime};
use super::{base_url, credentials};
use crate::App;
use crate::auth::Admin;
use crate::body::{Fields, JsonBody};
use crate::path::Ids;
use crate::problem::{Problem, Problems};
use crate::query::NoQuery;

/// A provider record.
#[derive(ToSchema)]
#[schema(as = ProviderRecord)]
#[expect(dead_code, reason = "only its schema is used")]
struct ProviderRequest {
    /// `openai` or `openai-compatible`.
    driver: String,
    #[schema(example = "https://api.openai.com/v1")]
    base_url: String,
    /// Name of a stored credential. Default: calls carry no key.
    credential: Option<String>,
    realtime: Option<RealtimeView>,
    /// Null: there are no provider batches.
    #[schema(value_type = Option<Object>)]
    batch: Option<Value>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Provider)]
pub(crate) struct ProviderView {
    id: String,
    /// One more with each change.
    version: i64,
    #[schema(value_type = String, example = "openai")]
    driver: Driver,
    base_url: String,
    credential: Option<String>,
    realtime: RealtimeView,
    /// Always null.
    #[schema(value_type = Option<Object>)]
    batch: Value,
}

impl ProviderView {
    fn new(id: String, record: ProviderRecord, version: i64) -> Self {
        Self {
            id,
            version,
            driver: record.driver,
            base_url: record.base_url,
            credential: record.credential,
            realtime: record.realtime.unwrap_or_default().into(),
            batch: Value::Null,
        }
    }
}

/// Create or replace a provider record. Running jobs follow it from their next dispatch on.
#[utoipa::path(
    put, path = "/v1/admin/providers/{id}", operation_id = "put_provider", tag = "admin", request_body = ProviderRequest,
    params(("id" = String, Path, description = "The part of a job's model before the slash")),
    responses((status = 200, description = "Stored", body = ProviderView))
)]
pub(crate) async fn put(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((id,)): Ids<(String,)>,
    body: JsonBody,
) -> Result<Json<ProviderView>, Problem> {
    super::check_name(&id)?;
    let record = read(body.value, app.config.allow_private)?;
    if let Some(name) = &record.credential {
        credentials::require(&app, name).await?;
    }
    let mut tx = app.db.scheduler().await?;
    let version = db::providers::put(&mut tx, &id, &record).await?;
    tx.commit().await?;
    Ok(Json(ProviderView::new(id, record, version)))
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
    super::check_name(&id).map_err(|_| Problem::not_found())?;
    let mut tx = app.db.scheduler().await?;
    let (record, version) = db::providers::get(&mut tx, &id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Json(ProviderView::new(id, record, version)))
}

const DRIVERS: [(&str, Option<Driver>); 11] = [
    ("openai", Some(Driver::Openai)),
    ("openai-compatible", Some(Driver::OpenaiCompatible)),
    ("azure-openai", None),
    ("anthropic", None),
    ("gemini", None),
    ("mistral", None),
    ("groq", None),
    ("together", None),
    ("vertex", None),
    ("bedrock", None),
    ("fireworks", None),
];

fn read(body: Value, allow_private: bool) -> Result<ProviderRecord, Problem> {
    let mut problems = Problems::default();
    let record = Fields::of_body(body, &mut problems).and_then(|mut fields| {
        fields.require("driver");
        fields.require("base_url");
        let driver = fields.choice("driver", &DRIVERS);
        let base_url = fields.text("base_url").and_then(|text| {
            base_url::check(&text, allow_private)
                .map_err(|(code, message)| fields.report("base_url", code, message))
                .ok()
        });
        let credential = fields.label("credential", 100);
        let realtime = realtime(&mut fields);
        fields.later(&["batch"]);
        fields.finish();
        Some(ProviderRecord {
            driver: driver?,
            base_url: base_url?,
            credential,
            realtime: Some(realtime),
            batch: None,
            webhook_credential: None,
            options: BTreeMap::new(),
        })
    });
    problems.check()?;
    record.ok_or_else(Problem::defect)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_of_the_contract_is_taken_without_its_batches() {
        let mut body = json!({"driver": "openai", "base_url": "https://api.openai.com/v1", "credential": "openai-main",
            "realtime": {"requests_per_minute": 10000, "output_tokens_per_minute": null, "max_concurrency": 500, "timeout_s": 120},
            "batch": null});
        let record = read(body.clone(), false).expect("sound");
        assert_eq!(record.realtime.unwrap_or_default().requests_per_minute, Some(10_000));
        body["batch"] = json!({"max_requests": 1});
        assert!(format!("{:?}", read(body, false).expect_err("batch")).contains("not_yet_supported"));
    }

    #[test]
    fn drivers_to_come_are_named_as_such() {
        let problem =
            read(json!({"driver": "anthropic", "base_url": "https://api.anthropic.com"}), false).expect_err("driver");
        assert!(format!("{problem:?}").contains("not_yet_supported"));
    }
}
