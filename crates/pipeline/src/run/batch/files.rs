//! Files at the provider: result files are downloaded, and what is no longer needed is removed there.

use std::time::Duration;

use db::remote_objects::{Kind, RemoteObject};
use providers::client::Download;

use super::{Halt, Step};
use crate::run::place::Place;
use crate::{Context, StepError};

/// Longest result file that is read, in bytes: fifty times what the largest provider batch may have sent.
pub(super) const MAX_FILE_BYTES: u64 = 16 << 30;
/// A result file may be unknown to a reading call for so long after the end, ...
const READ_LAG: Duration = Duration::from_mins(1);
/// ... and this many tries.
const MISSES: u32 = 5;
/// Tries of one download that bring nothing, one after the other.
const TRIES: u32 = 4;

/// Downloads a result file, going on where it was cut off. What the provider has no more is skipped.
pub(super) async fn fetch(step: &Step<'_>, file: &str, download: &mut Download) -> Result<(), Halt> {
    let mut failures = 0;
    loop {
        let before = download.furthest();
        let error = match step.driver.download(file, download).await {
            Ok(()) => break,
            // A file may be unknown to a reading call for a while after it was made.
            Err(error)
                if error.missing && step.since(step.batch.stage_since) < READ_LAG && step.batch.failures < MISSES =>
            {
                return Err(error.into());
            }
            Err(error) if error.missing || error.failure.error.code == "provider_response_too_large" => {
                tracing::warn!(dispatch.id = %step.lease.dispatch_id, file, %error, "a result file can't be read to its end");
                break;
            }
            Err(error) => error,
        };
        failures = if download.furthest() > before { 1 } else { failures + 1 };
        if failures >= TRIES {
            return Err(error.into());
        }
        tracing::info!(dispatch.id = %step.lease.dispatch_id, bytes = download.bytes(), %error, "a download was cut off; it goes on");
        let wait = step.context.options.backoff.wait(failures, fastrand::f64(), error.failure.retry_after);
        tokio::time::sleep(wait.min(Duration::from_secs(10))).await;
    }
    Ok(download.end().await.map_err(|error| StepError::retry("the results", error))?)
}

/// Tries to remove something after which it is given up: files expire at the provider by themselves.
const LAST_TRY: u32 = 10;

/// Removes one thing at its provider that is no longer needed.
pub(crate) async fn clean(context: &Context, object: &RemoteObject) -> Result<(), Halt> {
    let removed = remove(context, object).await;
    let mut tx = context.db.scheduler().await?;
    match &removed {
        Ok(()) => db::remote_objects::forget(&mut tx, object.object_id).await?,
        Err(error) if object.failures >= LAST_TRY => {
            tracing::warn!(dispatch.id = %object.dispatch_id, name = object.name, %error, "it stays at the provider until it expires there");
            db::remote_objects::forget(&mut tx, object.object_id).await?;
        }
        Err(_) => {
            let wait = Duration::from_secs(10).saturating_mul(1 << object.failures.min(10));
            db::remote_objects::postpone(&mut tx, object.object_id, wait).await?;
        }
    }
    tx.commit().await?;
    removed
}

async fn remove(context: &Context, object: &RemoteObject) -> Result<(), Halt> {
    let place = Place::from_json(object.place.clone())?;
    let driver = place.connect(context, object.credential.as_deref(), object.credential_version).await?;
    match (object.kind, &object.remote_id) {
        (Kind::Upload | Kind::Results, Some(file)) => Ok(driver.delete_file(file).await?),
        (Kind::ProviderBatch, Some(id)) => Ok(driver.delete(id).await?),
        // An upload whose reply was lost.
        (_, None) => {
            for file in driver.find_files(&object.name).await? {
                driver.delete_file(&file).await?;
            }
            Ok(())
        }
    }
}
