//! `GET /v1/models`

use axum::Json;
use axum::extract::State;
use db::providers::Capability;
use domain::provider::{self, Prices, RealtimeLimits, Task};
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::admin::records::{PricesSchema, RealtimeSchema};
use crate::auth::{Read, Tenant};
use crate::problem::Problem;
use crate::query::NoQuery;

#[derive(Serialize, ToSchema)]
pub(crate) struct ModelList {
    data: Vec<Model>,
}

#[derive(Serialize, ToSchema)]
struct Model {
    /// As a job's `model` names it.
    #[schema(example = "openai/gpt-5-mini")]
    id: String,
    /// Always `model`.
    object: &'static str,
    tasks: Vec<&'static str>,
    context_tokens: Option<u32>,
    max_output_tokens: Option<u32>,
    /// Null where they are not known.
    #[schema(value_type = Option<PricesSchema>)]
    prices: Option<Prices>,
    #[schema(value_type = Option<RealtimeSchema>)]
    realtime: Option<RealtimeLimits>,
}

/// List the models that jobs may name, with prices and limits.
#[utoipa::path(
    get, path = "/v1/models", operation_id = "list_models", tag = "models",
    responses((status = 200, description = "All models", body = ModelList))
)]
pub(crate) async fn models(
    tenant: Tenant<Read>,
    State(app): State<App>,
    _: NoQuery,
) -> Result<Json<ModelList>, Problem> {
    let mut tx = app.db.tenant(tenant.id).await?;
    let capabilities = db::providers::capabilities(&mut tx).await?;
    tx.commit().await?;
    let callable = capabilities.into_iter().filter(|model| provider::is_callable(&model.provider, &model.model));
    Ok(Json(ModelList { data: callable.map(Model::from).collect() }))
}

impl From<Capability> for Model {
    fn from(capability: Capability) -> Self {
        let Capability { name, provider, model, .. } = capability;
        Self {
            id: name.to_string(),
            object: "model",
            tasks: model.tasks.iter().copied().map(Task::name).collect(),
            context_tokens: model.context_tokens,
            max_output_tokens: model.max_output_tokens,
            realtime: provider::realtime_of(&provider, &model),
            prices: model.prices,
        }
    }
}
