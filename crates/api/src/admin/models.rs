//! `/v1/admin/providers/{id}/models/{model}`

use axum::Json;
use axum::extract::State;
use domain::provider::{BatchLimits, ModelName, ModelRecord, Task};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::records::{PricesView, RealtimeView, prices, realtime};
use crate::App;
use crate::auth::Admin;
use crate::body::{Fields, JsonBody};
use crate::path::Ids;
use crate::problem::{Problem, Problems};
use crate::query::NoQuery;

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
    prices: Option<PricesView>,
    /// In place of the provider's, key by key.
    realtime: Option<RealtimeView>,
    /// Null or empty.
    #[schema(value_type = Option<Object>)]
    batch: Option<Value>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StoredModel)]
pub(crate) struct StoredModelView {
    /// As a job's `model` names it.
    id: String,
    /// One more with each change.
    version: i64,
    upstream_model: String,
    context_tokens: Option<u32>,
    max_output_tokens: Option<u32>,
    prices: Option<PricesView>,
    realtime: RealtimeView,
}

/// Create or replace a model record.
#[utoipa::path(
    put, path = "/v1/admin/providers/{id}/models/{model}", operation_id = "put_model", tag = "admin", request_body = ModelRequest,
    params(
        ("id" = String, Path, description = "The provider"),
        ("model" = String, Path, description = "The part of a job's model after the slash; it may hold slashes itself"),
    ),
    responses((status = 200, description = "Stored", body = StoredModelView))
)]
pub(crate) async fn put(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((provider, model)): Ids<(String, String)>,
    body: JsonBody,
) -> Result<Json<StoredModelView>, Problem> {
    let name: ModelName = format!("{provider}/{model}").parse().map_err(|_| Problem::not_found())?;
    let record = read(body.value)?;
    let mut tx = app.db.scheduler().await?;
    let version = db::providers::put_model(&mut tx, &name, &record).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Json(StoredModelView {
        id: name.to_string(),
        version,
        upstream_model: record.upstream_model,
        context_tokens: record.context_tokens,
        max_output_tokens: record.max_output_tokens,
        prices: record.prices.and_then(PricesView::new),
        realtime: record.realtime.unwrap_or_default().into(),
    }))
}

fn read(body: Value) -> Result<ModelRecord, Problem> {
    let mut problems = Problems::default();
    let record = Fields::of_body(body, &mut problems).and_then(|mut fields| {
        fields.require("upstream_model");
        let upstream_model = fields.label("upstream_model", 200);
        let tasks = tasks(&mut fields);
        let context_tokens = fields.integer("context_tokens", 1..=u32::MAX);
        let max_output_tokens = fields.integer("max_output_tokens", 1..=u32::MAX);
        let prices = prices(&mut fields);
        let realtime = realtime(&mut fields);
        if fields.take("batch").is_some_and(|batch| batch != serde_json::json!({})) {
            fields.report("batch", "not_yet_supported", "provider batches are not supported yet");
        }
        fields.finish();
        Some(ModelRecord {
            upstream_model: upstream_model?,
            tasks,
            context_tokens,
            max_output_tokens,
            prices,
            realtime: Some(realtime),
            batch: Some(BatchLimits::default()),
        })
    });
    problems.check()?;
    record.ok_or_else(Problem::defect)
}

fn tasks(fields: &mut Fields<'_>) -> Vec<Task> {
    let Some(values) = fields.list("tasks", 2) else {
        return vec![Task::Chat];
    };
    if values.iter().any(|value| value == "embedding") {
        fields.report("tasks", "not_yet_supported", "`embedding` is not supported yet");
    } else if values.is_empty() || values.iter().any(|value| value != "chat") {
        fields.report("tasks", "invalid_value", "expected [\"chat\"]");
    }
    vec![Task::Chat]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_record_of_the_contract_is_taken() {
        let body = json!({"upstream_model": "gpt-5-mini", "tasks": ["chat"], "context_tokens": 400_000, "max_output_tokens": 128_000,
            "prices": {"input_per_mtok_usd": "0.25", "cached_input_per_mtok_usd": "0.025", "output_per_mtok_usd": "2.00"},
            "realtime": {}, "batch": {}});
        let record = read(body).expect("sound");
        assert_eq!(record.prices.is_some(), true);
    }

    #[test]
    fn what_has_no_effect_yet_is_refused() {
        for (field, value) in
            [("prices", json!([])), ("batch", json!({"discount": "0.5"})), ("tasks", json!(["embedding"]))]
        {
            let problem = read(json!({"upstream_model": "x", field: value})).expect_err(field);
            assert!(format!("{problem:?}").contains("not_yet_supported"), "{problem:?}");
        }
    }
}
