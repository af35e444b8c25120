//! `POST /v1/jobs`

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::TenantTx;
use db::jobs::{Accepted, Idempotency, NewJob};
use domain::ids::JobId;
use uuid::Uuid;

use super::idempotency::IdempotencyKey;
use super::schema::JobRequest;
use super::view::{self, JobView};
use super::{admission, request};
use crate::App;
use crate::auth::{Tenant, Write};
use crate::body::JsonBody;
use crate::problem::Problem;
use crate::query::NoQuery;

/// Submit a job.
///
/// A 201 means that the job survives anything. With an `Idempotency-Key`, a repeated submit of the same body answers with the
/// job that the first one made, and `Idempotent-Replayed: true`.
#[utoipa::path(
    post, path = "/v1/jobs", operation_id = "submit_job", tag = "jobs", request_body = JobRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters")),
    responses(
        (status = 201, description = "Accepted", body = JobView, headers(
            ("Location" = String, description = "The job's path"),
            ("Idempotent-Replayed" = Option<String>, description = "`true` if an earlier submit made the job"),
        )),
        (status = 409, description = "output_exists, idempotency_in_progress"),
    )
)]
pub(crate) async fn submit(
    tenant: Tenant<Write>,
    _: NoQuery,
    State(app): State<App>,
    IdempotencyKey(key): IdempotencyKey,
    body: JsonBody,
) -> Result<Response, Problem> {
    let idempotency = key.as_deref().map(|key| Idempotency { key, body_sha256: body.sha256 });
    let request = request::check(body.value, app.now());

    let mut tx = app.db.tenant(tenant.id).await?;
    // Before all other checks: the job that the first submit made may have written the output by now.
    if let Some(idempotency) = &idempotency
        && let Some(earlier) = db::jobs::earlier(&mut tx, idempotency).await?
    {
        return answer(&app, &tenant, tx, earlier, None).await;
    }
    let request = request?;
    let granted = admission::grants(&mut tx, &request).await?;
    tx.commit().await?;

    let source = admission::inspect(&app, &request, &granted).await?;

    let job_id = JobId(Uuid::now_v7());
    let input = serde_json::to_value(&source).map_err(|error| Problem::internal(&error))?;
    let job = NewJob {
        job_id,
        spec: &request.spec,
        model: &request.model,
        input: &input,
        deadline: request.deadline,
        idempotency,
    };
    let mut tx = app.db.tenant(tenant.id).await?;
    let accepted = db::jobs::insert(&mut tx, &job).await?;
    answer(&app, &tenant, tx, accepted, Some(job_id)).await
}

async fn answer(
    app: &App,
    tenant: &Tenant<Write>,
    mut tx: TenantTx,
    accepted: Accepted,
    new: Option<JobId>,
) -> Result<Response, Problem> {
    let job_id = match accepted {
        Accepted::New => new.ok_or_else(Problem::defect)?,
        Accepted::Replayed(job_id) => job_id,
        Accepted::KeyReused => {
            let detail = "this Idempotency-Key was used with another body; use a new key for a new job";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail));
        }
        Accepted::InProgress => {
            let detail = "a submit with this Idempotency-Key is being worked on at this moment; try again";
            return Err(Problem::conflict("idempotency_in_progress", detail).with_retry_after());
        }
    };
    let job = view::load(&mut tx, job_id, tenant.suspended, app.now()).await?;
    tx.commit().await?;
    Ok(created(&job, accepted != Accepted::New))
}

fn created(job: &JobView, replayed: bool) -> Response {
    let location = HeaderValue::from_str(&format!("/v1/jobs/{}", job.id())).expect("an id is ASCII");
    let mut response = (StatusCode::CREATED, [(header::LOCATION, location)], Json(job)).into_response();
    if replayed {
        response.headers_mut().insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
    }
    response
}
