//! Proves conservation: recomputes what became of every row from the input and the output objects, never from counters.

mod compare;
mod lines;
mod report;

use std::sync::Arc;

use dataset::output::OutputColumns;
use dataset::stores::Location;
use db::jobs::Job as StoredJob;
use domain::ids::{JobId, TenantId};
use domain::outcome::Status;
use futures::StreamExt;

pub use self::report::Report;
use crate::{Context, StepError};

/// Why a job can't be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("there is no such job")]
    NotFound,
    #[error("the job is {0}: it has no output yet, or never will")]
    NoOutput(&'static str),
    #[error(transparent)]
    Step(#[from] StepError),
}

impl From<db::Error> for CheckError {
    fn from(error: db::Error) -> Self {
        Self::Step(error.into())
    }
}

/// Compares a job's output with its input, row by row, and both with what the database says.
///
/// # Errors
/// The job has no output; the objects can't be read. What is wrong with the job itself is in the report.
pub async fn check(context: &Context, job_id: JobId) -> Result<Report, CheckError> {
    let (tenant_id, job) = find(context, job_id).await?;
    let (loaded, _) = crate::job::load(context, tenant_id, job_id).await?;
    let Some(recorded) = &job.output else { return Err(CheckError::NoOutput(job.state.name())) };
    let input = context.open(tenant_id, &job.spec.input.uri, false).await?;
    let output = match &job.spec.output.uri {
        Some(uri) => context.open(tenant_id, uri, false).await.map_err(|_| unreadable(uri))?,
        None => context.files(tenant_id, job_id).output(job.spec.output.format),
    };
    let mut report = Report::default();
    check_object(&output, recorded, &mut report).await?;
    let columns = OutputColumns::new(&loaded.source.schema, &job.spec.output.column_prefix).map_err(StepError::from)?;
    let schema = Arc::new(loaded.source.schema.clone());
    let rows = dataset::input::read(input, loaded.source.pinned.clone(), schema.clone(), schema.start());
    compare::rows(rows, &output, job.spec.output.format, &columns, &mut report).await?;
    check_database(context, tenant_id, &job, &mut report).await?;
    Ok(report)
}

fn unreadable(uri: &str) -> StepError {
    StepError::FailJob {
        code: "storage_location_not_allowed".to_owned(),
        detail: format!("{uri} can't be read back: the tenant's grant is for writing only"),
    }
}

async fn find(context: &Context, job_id: JobId) -> Result<(TenantId, StoredJob), CheckError> {
    let mut tx = context.db.scheduler().await?;
    let found = db::jobs::control(&mut tx, &[job_id]).await?;
    tx.commit().await?;
    let (_, tenant_id, _, _) = *found.first().ok_or(CheckError::NotFound)?;
    let mut tx = context.db.tenant(tenant_id).await?;
    let job = db::jobs::get(&mut tx, job_id).await?.ok_or(CheckError::NotFound)?;
    tx.commit().await?;
    Ok((tenant_id, job))
}

/// The object is the one that was recorded, byte for byte.
async fn check_object(output: &Location, recorded: &serde_json::Value, report: &mut Report) -> Result<(), CheckError> {
    let (bytes, mut stream) = output.stream().await.map_err(StepError::from)?;
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    while let Some(piece) = stream.next().await {
        hash.update(&piece.map_err(StepError::from)?);
    }
    let sha256 = hex::encode(hash.finish());
    if recorded["bytes"] != bytes {
        report.find(format!("the output has {bytes} bytes, and {} were recorded", recorded["bytes"]));
    }
    if recorded["sha256"] != sha256 {
        report.find(format!("the output's SHA-256 is {sha256}, and {} was recorded", recorded["sha256"]));
    }
    Ok(())
}

/// The database says the same as the output: totals, and the state of each row.
async fn check_database(
    context: &Context,
    tenant_id: TenantId,
    job: &StoredJob,
    report: &mut Report,
) -> Result<(), CheckError> {
    let counts = &job.counts;
    for (name, counted, found) in [
        ("rows", job.total_rows.unwrap_or_default(), report.rows()),
        ("succeeded", counts.succeeded, report.count(Status::Succeeded)),
        ("failed", counts.failed, report.count(Status::Failed)),
        ("cancelled", counts.cancelled, report.count(Status::Cancelled)),
        ("expired", counts.expired, report.count(Status::Expired)),
    ] {
        if counted != found {
            report.find(format!("{name}: the database counts {counted}, and the output has {found}"));
        }
    }
    let mut next = 0;
    loop {
        let mut tx = context.db.tenant(tenant_id).await?;
        let page = db::items::chunks(&mut tx, job.job_id, job.generation, next, None, 100).await?;
        tx.commit().await?;
        let Some(last) = page.last() else { return Ok(()) };
        next = last.chunk_no + 1;
        for chunk in &page {
            let rows = chunk.closed.length();
            match &chunk.summary {
                Some(summary) if summary.row_states.len() != rows => {
                    let summarised = summary.row_states.len();
                    report.find(format!("chunk {} has {rows} rows, and its summary {summarised}", chunk.chunk_no));
                }
                Some(summary) => report.compare_states(chunk.first_row, &summary.row_states),
                None => report.find(format!("chunk {} has no summary", chunk.chunk_no)),
            }
        }
    }
}
