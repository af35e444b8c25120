//! Joins a job's parts into one object, which appears whole or not at all.

use std::sync::Arc;

use dataset::output::{Assembled, IfExists, OutputColumns, Part};
use dataset::stores::Location;
use db::steps::StepLease;
use domain::job::spec;
use futures::stream::{self, Stream, TryStreamExt};

use crate::job::Job;
use crate::{Context, StepError};

/// The whole step. Repeating it gives the same bytes, so a crash at any point does no harm.
pub(crate) async fn assemble(context: &Context, lease: &StepLease, job: Arc<Job>) -> Result<(), StepError> {
    let mut tx = context.db.tenant(lease.tenant_id).await?;
    let work = db::jobs::work(&mut tx, lease.job_id).await?.ok_or(StepError::Lost)?;
    tx.commit().await?;
    let output = &job.spec.output;
    let (target, if_exists) = target(context, lease, &job).await?;
    let columns = OutputColumns::new(&job.source.schema, &output.column_prefix)?;
    let parts = parts(context, lease, work.generation);
    let assembled = Box::pin(dataset::output::assemble(output.format, &columns, parts, &target, if_exists)).await?;
    let mut tx = context.db.tenant(lease.tenant_id).await?;
    db::seal::finish_job(&mut tx, lease, &description(&job, &assembled)).await?;
    Ok(tx.commit().await?)
}

/// Where the output goes: below the work prefix unless the job names a place.
async fn target(context: &Context, lease: &StepLease, job: &Job) -> Result<(Location, IfExists), StepError> {
    let output = &job.spec.output;
    match &output.uri {
        Some(uri) => {
            let if_exists = match output.if_exists {
                spec::IfExists::Error => IfExists::Error,
                spec::IfExists::Replace => IfExists::Replace,
            };
            Ok((context.open(lease.tenant_id, uri, true).await?, if_exists))
        }
        None => Ok((context.files(lease.tenant_id, lease.job_id).output(output.format), IfExists::Replace)),
    }
}

fn description(job: &Job, assembled: &Assembled) -> serde_json::Value {
    serde_json::json!({
        "uri": job.spec.output.uri, "format": job.spec.output.format, "bytes": assembled.bytes,
        "sha256": hex::encode(assembled.sha256),
    })
}

/// Parts whose paths are read from the database at once.
const PAGE: i64 = 500;

/// The parts in order, one in memory at a time.
fn parts<'a>(
    context: &'a Context,
    lease: &'a StepLease,
    generation: i32,
) -> impl Stream<Item = Result<Part, StepError>> + Send + 'a {
    let files = context.files(lease.tenant_id, lease.job_id);
    let pages = stream::try_unfold(0_u32, move |next| async move {
        let mut tx = context.db.tenant(lease.tenant_id).await?;
        let page = db::seal::parts(&mut tx, lease.job_id, generation, next, PAGE).await?;
        tx.commit().await?;
        let after = page.last().map(|last| last.chunk_no + 1);
        Ok::<_, StepError>(after.map(|after| (stream::iter(page.into_iter().map(Ok)), after)))
    });
    pages.try_flatten().and_then(move |part: db::seal::Part| {
        let files = files.clone();
        async move { Ok(Part { bytes: files.read(&part.path).await?, rows: part.rows }) }
    })
}
