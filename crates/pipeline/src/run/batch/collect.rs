//! Collect: downloads the results of an ended provider batch, commits them, and settles the dispatch.

use std::sync::Arc;

use db::limit_groups::Pause;
use domain::failure::Failure;
use domain::provider::LimitGroup;
use domain::provider_batch::{Remote, RemoteStatus, ResultFiles, ValidationError};
use domain::route::Route;
use providers::client::Download;

use super::gather::Gatherer;
use super::ids::RequestIds;
use super::outcomes::Reconciler;
use super::{Halt, Next, Step, commit, files, outcomes, validation};

/// Ended.
pub(super) async fn collect(
    step: &Step<'_>,
    remote: Remote,
    status: RemoteStatus,
    files: ResultFiles,
    errors: Vec<ValidationError>,
) -> Result<Next, Halt> {
    // One that says it is done and names no file has nothing that could be read.
    let was_done = status == RemoteStatus::Done;
    let status = if was_done && files == ResultFiles::default() { RemoteStatus::Lost } else { status };
    let silence = outcomes::silence(status, &errors);
    let is_refused = status == RemoteStatus::Failed && silence.is_none();
    let reconciler = Arc::new(reconciler(step, silence));
    let results = receive(step, &reconciler, &files).await?;
    if remote.unconfirmed && results.found == 0 && results.unknown > 0 {
        return mistaken(step).await;
    }
    if results.unknown + results.unreadable > 0 {
        let (unknown, unreadable) = (results.unknown, results.unreadable);
        step.context.metrics.dropped(unknown, unreadable);
        tracing::warn!(dispatch.id = %step.lease.dispatch_id, unknown, unreadable, "results that are nobody's were dropped");
    }
    let missing = commit::rest(step, &reconciler, results).await?;
    if missing > 0 && was_done {
        step.context.metrics.missing.inc_by(missing);
        tracing::warn!(dispatch.id = %step.lease.dispatch_id, missing, "rows are missing in the results; they are tried again");
    }
    if is_refused && step.batch.owns_rows {
        return validation::failed(step, &errors).await;
    }
    step.dissolve().await
}

/// Both files, as far as they are there. Chunks that can be committed before the end are; the others are returned.
async fn receive(step: &Step<'_>, reconciler: &Arc<Reconciler>, result_files: &ResultFiles) -> Result<Gatherer, Halt> {
    let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
    let sent = db::provider_batches::sent_chunks(&mut tx, step.lease).await?;
    tx.commit().await?;
    let ids = RequestIds::new(step.batch.origin);
    let gatherer = Gatherer::new(step.driver.clone(), ids, sent, step.spool.join("results.jsonl"));
    let (mut download, arrivals) = Download::new(files::MAX_FILE_BYTES);
    let fetch = async move {
        for file in [&result_files.output, &result_files.errors].into_iter().flatten() {
            files::fetch(step, file, &mut download).await?;
        }
        Ok::<_, Halt>(())
    };
    let ((), gatherer) = tokio::try_join!(fetch, commit::while_they_come(step, reconciler, gatherer, arrivals))?;
    Ok(gatherer)
}

fn reconciler(step: &Step<'_>, silence: Option<Failure>) -> Reconciler {
    Reconciler {
        driver: step.driver.clone(),
        silence,
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

/// No request can work now: nothing more is sent until somebody mends it, or a later try finds it mended.
pub(super) async fn pause(step: &Step<'_>, failure: &Failure) -> Result<(), Halt> {
    let pause = Pause { code: failure.error.code.clone(), detail: failure.error.message.clone() };
    let group = LimitGroup(step.batch.limit_group.clone());
    tracing::warn!(limit_group = group.0, code = pause.code, detail = pause.detail, "limit group pauses");
    let mut tx = step.context.db.scheduler().await?;
    db::limit_groups::set_pause(&mut tx, &group, Some(&pause)).await?;
    Ok(tx.commit().await?)
}
