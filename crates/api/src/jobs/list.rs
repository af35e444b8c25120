//! `GET /v1/jobs`

use axum::Json;
use axum::extract::State;
use db::jobs::{Filter, Page};
use domain::ids::JobId;
use domain::job::State as JobState;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::surroundings::Surroundings;
use super::view::JobView;
use crate::App;
use crate::auth::{Read, Tenant};
use crate::cursor;
use crate::problem::Problem;
use crate::query::Query;

#[derive(Serialize, ToSchema)]
pub(crate) struct JobPage {
    data: Vec<JobView>,
    /// For the page after this one; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List jobs, newest first.
///
/// `metadata.{key}={value}` keeps jobs whose metadata has the pair.
#[utoipa::path(
    get, path = "/v1/jobs", operation_id = "list_jobs", tag = "jobs",
    params(
        ("status" = Option<String>, Query, description = "Only jobs in this state"),
        ("name" = Option<String>, Query, description = "Only jobs of this name"),
        ("limit" = Option<u64>, Query, description = "1 to 100; default 20"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, with the same filters"),
    ),
    responses((status = 200, description = "A page of jobs", body = JobPage))
)]
pub(crate) async fn list(
    tenant: Tenant<Read>,
    State(app): State<App>,
    mut query: Query,
) -> Result<Json<JobPage>, Problem> {
    let limit = query.limit();
    let filter = filter(&mut query);
    let cursor = query.take("cursor");
    query.finish()?;

    let tenant_id = tenant.id.to_string();
    let filters = format!("{filter:?}");
    let scope = ["jobs", &tenant_id, &filters];
    let before = cursor.map(|cursor| cursor::decode(&cursor, &scope)).transpose()?.map(|id| JobId(Uuid::from_u128(id)));
    // One more than asked for tells whether there is another page.
    let page = Page { before, limit: i64::try_from(limit + 1).expect("at most 101") };
    let mut tx = app.db.tenant(tenant.id).await?;
    let mut jobs = db::jobs::list(&mut tx, &filter, page).await?;
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    let surroundings = Surroundings::load(&mut tx, &jobs, tenant.suspended, app.now()).await?;
    tx.commit().await?;
    let next_cursor = jobs.last().filter(|_| more).map(|last| cursor::encode(last.job_id.0.as_u128(), &scope));
    let data = jobs.into_iter().map(|job| JobView::new(job, &surroundings)).collect();
    Ok(Json(JobPage { data, next_cursor }))
}

fn filter(query: &mut Query) -> Filter {
    let mut states: Vec<_> = JobState::ALL.into_iter().map(JobState::name).collect();
    states.dedup();
    let state = query.choice("status", &states, |text| states.contains(&text).then(|| text.to_owned()));
    let metadata: serde_json::Map<_, _> =
        query.take_prefixed("metadata.").into_iter().map(|(key, value)| (key, value.into())).collect();
    Filter { state, name: query.take("name"), metadata: (!metadata.is_empty()).then_some(metadata.into()) }
}
