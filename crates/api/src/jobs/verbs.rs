//! `POST /v1/jobs/{id}/cancel`, `/pause`, `/resume`

use axum::Json;
use axum::extract::State;
use domain::ids::JobId;
use domain::job::{Event, InvalidTransition, State as JobState};

use super::view::{self, JobView};
use crate::App;
use crate::auth::{Tenant, Write};
use crate::body::NoBody;
use crate::path::Ids;
use crate::problem::Problem;
use crate::query::NoQuery;

/// Cancel a job.
///
/// No new call is made; rows without an outcome end as `cancelled`, and what is there is merged. A repeated cancel changes nothing.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", operation_id = "cancel_job", tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "The job as it stands", body = JobView), (status = 409, description = "invalid_state"))
)]
pub(crate) async fn cancel(
    tenant: Tenant<Write>,
    _: NoQuery,
    State(app): State<App>,
    Ids((job_id,)): Ids<(JobId,)>,
    _: NoBody,
) -> Result<Json<JobView>, Problem> {
    apply(&app, &tenant, job_id, Event::Cancel).await
}

/// Pause a job. Calls in flight finish.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/pause", operation_id = "pause_job", tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "The job as it stands", body = JobView), (status = 409, description = "invalid_state"))
)]
pub(crate) async fn pause(
    tenant: Tenant<Write>,
    _: NoQuery,
    State(app): State<App>,
    Ids((job_id,)): Ids<(JobId,)>,
    _: NoBody,
) -> Result<Json<JobView>, Problem> {
    apply(&app, &tenant, job_id, Event::Pause).await
}

/// Let a paused job go on.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/resume", operation_id = "resume_job", tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses((status = 200, description = "The job as it stands", body = JobView), (status = 409, description = "invalid_state"))
)]
pub(crate) async fn resume(
    tenant: Tenant<Write>,
    _: NoQuery,
    State(app): State<App>,
    Ids((job_id,)): Ids<(JobId,)>,
    _: NoBody,
) -> Result<Json<JobView>, Problem> {
    apply(&app, &tenant, job_id, Event::Resume).await
}

async fn apply(app: &App, tenant: &Tenant<Write>, job_id: JobId, event: Event) -> Result<Json<JobView>, Problem> {
    let mut tx = app.db.tenant(tenant.id).await?;
    match db::jobs::transition(&mut tx, job_id, event).await {
        Ok(Some(_)) => {}
        Ok(None) => return Err(Problem::not_found()),
        Err(db::Error::Transition(refused)) if is_done(refused) => {}
        Err(error) => return Err(error.into()),
    }
    let job = view::load(&mut tx, job_id, tenant.suspended, app.now()).await?;
    tx.commit().await?;
    Ok(Json(job))
}

/// A cancel of what is cancelled already.
fn is_done(refused: InvalidTransition) -> bool {
    refused.event == Event::Cancel && matches!(refused.state, JobState::Cancelling | JobState::Cancelled)
}
