//! Removes what is kept at providers and that nobody needs any more. Apart from the other sweeps, because providers may be slow.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Worker;

/// Things that are removed in one go.
const LIMIT: i64 = 20;
/// Nobody else takes them for so long.
const LEASE: Duration = Duration::from_mins(5);
/// Between two looks that found nothing.
const PAUSE: Duration = Duration::from_secs(5);

/// Between two looks for secrets that nobody needs any more.
const SECRETS: Duration = Duration::from_mins(10);

/// Every worker cleans. Runs until it is dropped.
pub(super) async fn run(worker: Arc<Worker>) {
    let mut secrets_looked_at = Instant::now();
    loop {
        if secrets_looked_at.elapsed() > SECRETS {
            secrets_looked_at = Instant::now();
            if let Err(error) = forget_secrets(&worker).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "replaced secrets were not forgotten");
            }
        }
        let found = match clean(&worker).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what to remove at providers could not be read"
                );
                false
            }
        };
        if !found {
            let pause = PAUSE.min(10 * worker.context.options.poll);
            tokio::time::sleep(pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        }
    }
}

/// Returns whether there was anything to remove.
async fn clean(worker: &Worker) -> db::Result<bool> {
    let mut tx = worker.context.db.scheduler().await?;
    let objects = db::remote_objects::claim(&mut tx, LEASE, LIMIT).await?;
    tx.commit().await?;
    for object in &objects {
        if let Err(error) = crate::run::batch::clean(&worker.context, object).await {
            tracing::info!(dispatch.id = %object.dispatch_id, name = object.name, %error, "it was not removed at the provider yet");
        }
    }
    Ok(!objects.is_empty())
}

async fn forget_secrets(worker: &Worker) -> db::Result<()> {
    let mut tx = worker.context.db.scheduler().await?;
    let forgotten = db::credentials::forget_unused(&mut tx).await?;
    tx.commit().await?;
    if forgotten > 0 {
        tracing::info!(forgotten, "replaced secrets were forgotten");
    }
    Ok(())
}
