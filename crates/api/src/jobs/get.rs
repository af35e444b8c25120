//! `GET /v1/jobs/{id}`

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use domain::ids::JobId;
use tokio::time::Instant;

use super::view::{self, JobView};
use crate::App;
use crate::auth::{Read, Tenant};
use crate::path::Ids;
use crate::problem::Problem;
use crate::query::Query;

/// Longest wait for a job's end, in seconds.
const LONGEST_WAIT_S: u64 = 60;
/// How often a waiting call looks.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Look a job up.
#[utoipa::path(
    get, path = "/v1/jobs/{id}", operation_id = "get_job", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job"),
        ("wait" = Option<u64>, Query, description = "Answer when the job has ended, or after so many seconds (at most 60)"),
    ),
    responses((status = 200, description = "The job as it stands", body = JobView))
)]
pub(crate) async fn get(
    tenant: Tenant<Read>,
    State(app): State<App>,
    Ids((job_id,)): Ids<(JobId,)>,
    mut query: Query,
) -> Result<Json<JobView>, Problem> {
    let wait = query.number("wait", 0).unwrap_or(0).min(LONGEST_WAIT_S);
    query.finish()?;
    let deadline = Instant::now() + Duration::from_secs(wait);
    loop {
        let mut tx = app.db.tenant(tenant.id).await?;
        let job = view::load(&mut tx, job_id, tenant.suspended, app.now()).await?;
        tx.commit().await?;
        if job.is_over() || Instant::now() + LOOK_EVERY > deadline {
            return Ok(Json(job));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
