//! `GET /v1/models`

use axum::Json;
use axum::extract::State;
use db::providers::Capability;
use domain::provider::Task;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::admin::records::{PricesView, RealtimeView};
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
    prices: Option<PricesView>,
    realtime: RealtimeView,
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
    Ok(Json(ModelList { data: capabilities.into_iter().map(Model::from).collect() }))
}

fn task_name(task: Task) -> &'static str {
    match task {
        Task::Chat => "chat",
    }
}

impl From<Capability> for Model {
    fn from(capability: Capability) -> Self {
        let Capability { name, provider, model, .. } = capability;
        Self {
            id: name.to_string(),
            object: "model",
            tasks: model.tasks.iter().map(|task| task_name(*task)).collect(),
            context_tokens: model.context_tokens,
            max_output_tokens: model.max_output_tokens,
            prices: model.prices.clone().and_then(PricesView::new),
            realtime: domain::provider::realtime_of(&provider, &model).unwrap_or_default().into(),
        }
    }
}
