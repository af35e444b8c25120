//! `GET /v1/jobs/{id}/output`

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dataset::stores::Location;
use db::jobs::Job;
use domain::format::Format;
use domain::ids::{JobId, TenantId};
use domain::storage_uri::StorageUri;

use crate::App;
use crate::auth::{Read, Tenant};
use crate::path::Ids;
use crate::problem::Problem;
use crate::query::Query;
use crate::storage::{self, Access};

/// Read a job's output.
///
/// A redirect to a URL that works for 15 minutes, or the output itself where the store can't sign.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/output", operation_id = "get_output", tag = "jobs",
    params(("id" = String, Path, description = "The job")),
    responses(
        (status = 200, description = "The output", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 302, description = "Where to read it", headers(("Location" = String, description = "A signed URL"))),
        (status = 409, description = "invalid_state: there is no output yet, or never will be"),
    )
)]
pub(crate) async fn output(
    tenant: Tenant<Read>,
    State(app): State<App>,
    Ids((job_id,)): Ids<(JobId,)>,
    mut query: Query,
) -> Result<Response, Problem> {
    query.later(&["partial"]);
    query.finish()?;
    let mut tx = app.db.tenant(tenant.id).await?;
    let job = db::jobs::get(&mut tx, job_id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    if job.output.is_none() {
        return Err(no_output(&job));
    }
    let location = locate(&app, tenant.id, &job).await?;
    let signed = location.sign_get(app.config.signed_url_ttl).await.map_err(|error| Problem::of_object(&error))?;
    match signed {
        Some(url) => redirect(url.as_str()),
        None => stream(&location, job_id, job.spec.output.format).await,
    }
}

fn no_output(job: &Job) -> Problem {
    let state = job.state;
    let detail = if state.is_terminal() {
        format!("the job is {state} and ended before there was an output")
    } else {
        format!("the job is {state}; its output is there when it is completed, cancelled or expired")
    };
    Problem::conflict("invalid_state", detail)
}

/// Where the job's output lies: where the caller wanted it, else below the work prefix.
async fn locate(app: &App, tenant_id: TenantId, job: &Job) -> Result<Location, Problem> {
    let Some(uri) = &job.spec.output.uri else {
        return Ok(app.work.job(tenant_id, job.job_id).output(job.spec.output.format));
    };
    let uri: StorageUri =
        uri.parse().map_err(|error| Problem::internal(&error as &domain::storage_uri::InvalidStorageUri))?;
    let mut tx = app.db.tenant(tenant_id).await?;
    // Whoever may write an output may read it back.
    let grant = match storage::grant(&mut tx, &uri, Access::Write).await {
        Ok(grant) => grant,
        Err(_) => storage::grant(&mut tx, &uri, Access::Read).await?,
    };
    tx.commit().await?;
    storage::open(app, &uri, &grant, "/output/uri").await
}

fn redirect(url: &str) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(url).map_err(|error| Problem::internal(&error))?;
    // A signed URL is a secret for as long as it works.
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::FOUND, headers).into_response())
}

async fn stream(location: &Location, job_id: JobId, format: Format) -> Result<Response, Problem> {
    let (bytes, stream) = location.stream().await.map_err(|error| Problem::of_object(&error))?;
    let content_type = match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Jsonl => "application/x-ndjson",
        Format::Tsv => "text/tab-separated-values; charset=utf-8",
        Format::Parquet => "application/vnd.apache.parquet",
    };
    let disposition = format!("attachment; filename=\"{job_id}.{}\"", format.extension());
    let disposition = HeaderValue::from_str(&disposition).expect("ids and extensions are ASCII");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_LENGTH, bytes.into()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}
