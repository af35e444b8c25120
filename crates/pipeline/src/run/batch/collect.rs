//! Collect: downloads the results of an ended provider batch, commits them chunk by chunk, and settles the dispatch.

use std::path::PathBuf;
use std::sync::Arc;

use dataset::work::WorkFile;
use db::dispatches::DispatchRows;
use db::limit_groups::Pause;
use db::outcomes::{ChunkResults, Stored};
use domain::failure::Failure;
use domain::provider::LimitGroup;
use domain::provider_batch::{Remote, RemoteStatus, ResultFiles, ValidationError};
use domain::route::Route;

use super::ids::RequestIds;
use super::outcomes::{ChunkRows, Reconciled, Reconciler};
use super::results::Results;
use super::{Halt, Next, Step, files, validation};
use crate::StepError;

/// Ended.
pub(super) async fn collect(
    step: &Step<'_>,
    remote: Remote,
    status: RemoteStatus,
    files: ResultFiles,
    errors: Vec<ValidationError>,
) -> Result<Next, Halt> {
    let results = read(step, &files).await?;
    if remote.unconfirmed && results.is_empty() && results.unknown > 0 {
        return mistaken(step).await;
    }
    if results.unknown + results.unreadable > 0 {
        let (unknown, unreadable) = (results.unknown, results.unreadable);
        step.context.metrics.dropped(unknown, unreadable);
        tracing::warn!(dispatch.id = %step.lease.dispatch_id, unknown, unreadable, "results that are nobody's were dropped");
    }
    let was_done = status == RemoteStatus::Done;
    // One that says it is done and names no file has nothing that could be read.
    let status = if status == RemoteStatus::Done && results.is_empty() && files == ResultFiles::default() {
        RemoteStatus::Lost
    } else {
        status
    };
    let missing = commit_all(step, Arc::new(reconciler(step, results, status))).await?;
    if missing > 0 && was_done {
        step.context.metrics.missing.inc_by(missing);
        tracing::warn!(dispatch.id = %step.lease.dispatch_id, missing, "rows are missing in the results; they are tried again");
    }
    if status == RemoteStatus::Failed && step.batch.owns_rows {
        return validation::failed(step, &errors).await;
    }
    step.dissolve().await
}

/// Both files, as far as they are there.
async fn read(step: &Step<'_>, result_files: &ResultFiles) -> Result<Results, Halt> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for (file, name) in [(&result_files.output, "output.jsonl"), (&result_files.errors, "errors.jsonl")] {
        if let Some(file) = file {
            paths.extend(files::fetch(step, file, name).await?);
        }
    }
    let (driver, ids) = (step.driver.clone(), RequestIds::new(step.batch.origin));
    let results = tokio::task::spawn_blocking(move || Results::index(&paths, driver.as_ref(), &ids))
        .await
        .map_err(StepError::from)?;
    Ok(results.map_err(|error| StepError::retry("the spool directory", error))?)
}

fn reconciler(step: &Step<'_>, results: Results, status: RemoteStatus) -> Reconciler {
    Reconciler {
        driver: step.driver.clone(),
        results,
        status,
        tariff: step.place.tariff(Route::Batch),
        model: step.lease.model.to_string(),
        max_attempts: step.job.spec.limits.max_attempts,
        backoff: step.context.options.backoff,
        owns_rows: step.batch.owns_rows,
    }
}

/// What was found by time and size is somebody else's.
async fn mistaken(step: &Step<'_>) -> Result<Next, Halt> {
    tracing::warn!(dispatch.id = %step.lease.dispatch_id, "a provider batch that was taken for ours is another's");
    if !step.batch.owns_rows {
        let mut tx = step.context.db.scheduler().await?;
        db::remote_objects::disown(&mut tx, step.lease.dispatch_id).await?;
        tx.commit().await?;
        step.settle().await?;
        return Ok(Next::Gone);
    }
    let stage = step.batch.stage.clone().mistaken()?;
    let mut tx = step.context.db.scheduler().await?;
    db::provider_batches::enter(&mut tx, step.lease, &stage).await?;
    // It is not ours to remove.
    db::remote_objects::disown(&mut tx, step.lease.dispatch_id).await?;
    tx.commit().await?;
    Ok(Next::Again)
}

/// Chunk by chunk, in order, from where the last holder of the lease stopped. Returns how many rows the results say nothing of.
async fn commit_all(step: &Step<'_>, reconciler: Arc<Reconciler>) -> Result<u64, Halt> {
    let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
    let sent = db::provider_batches::request_rows(&mut tx, step.lease).await?;
    tx.commit().await?;
    let mut missing = 0;
    for rows in sent.into_iter().filter(|rows| rows.chunk_no >= step.batch.next_chunk) {
        missing += commit_chunk(step, &reconciler, rows).await?;
    }
    Ok(missing)
}

/// Returns how many rows the results say nothing of.
async fn commit_chunk(step: &Step<'_>, reconciler: &Arc<Reconciler>, rows: DispatchRows) -> Result<u64, Halt> {
    let DispatchRows { chunk_no, rows } = rows;
    loop {
        let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
        let chunk = db::chunks::get(&mut tx, step.lease.job_id, chunk_no).await?.ok_or(StepError::Lost)?;
        let histories = db::outcomes::histories(&mut tx, step.lease, chunk.first_row, rows.length()).await?;
        tx.commit().await?;
        let chunk = ChunkRows { first_row: chunk.first_row, sent: rows.clone(), closed: chunk.closed, histories };
        let reconciler = reconciler.clone();
        let (found, file) = tokio::task::spawn_blocking(move || {
            let found = reconciler.reconcile(&chunk).map_err(|error| StepError::retry("the spool directory", error))?;
            let outcomes: Vec<_> = found.outcomes.iter().map(|(row, outcome)| (*row, outcome)).collect();
            let file = (!found.outcomes.is_empty()).then(|| dataset::results::encode(&outcomes)).transpose()?;
            Ok::<_, StepError>((found, file))
        })
        .await
        .map_err(StepError::from)??;
        if found.is_empty() {
            return Ok(found.missing);
        }
        let mut path = None;
        if let Some(bytes) = file {
            let epoch = u64::try_from(step.lease.epoch).unwrap_or_default();
            let file = WorkFile::BatchResults { dispatch: step.lease.dispatch_id, chunk: chunk_no, epoch };
            let files = step.context.files(step.lease.tenant_id, step.lease.job_id);
            files.put(file, bytes).await.map_err(StepError::from)?;
            path = Some(file.to_string());
        }
        if commit(step, chunk_no, &found, path.as_deref()).await? == Stored::Done {
            if let Some(failure) = &found.standstill {
                pause(step, failure).await?;
            }
            return Ok(found.missing);
        }
    }
}

async fn commit(step: &Step<'_>, chunk_no: u32, reconciled: &Reconciled, path: Option<&str>) -> Result<Stored, Halt> {
    let results = ChunkResults {
        chunk_no,
        outcomes: &reconciled.outcomes,
        path,
        attempts: &reconciled.attempts,
        late: &reconciled.late,
        realtime_only: &reconciled.realtime_only,
    };
    let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
    let stored = db::outcomes::commit_results(&mut tx, step.lease, &results).await?;
    if stored == Stored::Done {
        tx.commit().await?;
    }
    Ok(stored)
}

/// No request can work now: nothing more is sent until somebody mends it, or a later try finds it mended.
pub(super) async fn pause(step: &Step<'_>, failure: &Failure) -> Result<(), Halt> {
    let pause = Pause { code: failure.error.code.clone(), detail: failure.error.message.clone() };
    let group = LimitGroup(step.batch.limit_group.clone());
    tracing::warn!(limit_group = group.0, code = pause.code, detail = pause.detail, "limit group pauses");
    let mut tx = step.context.db.scheduler().await?;
    db::limit_groups::set_pause(&mut tx, &group, Some(&pause)).await?;
    Ok(tx.commit().await?)
}
