//! What nobody in particular notices: deadlines that pass, and ending jobs whose last dispatch has settled.

use std::sync::Arc;

use domain::ids::{JobId, TenantId};
use domain::job::Event;

use super::Worker;

/// Jobs whose deadline is applied in one go.
const LIMIT: i64 = 100;

/// Every worker sweeps: what two of them do at once, one does in vain. Runs until it is dropped.
pub(super) async fn run(worker: Arc<Worker>) {
    loop {
        let interval = worker.context.options.poll;
        tokio::time::sleep(interval.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        if let Err(error) = sweep(&worker).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "sweep failed");
        }
    }
}

async fn sweep(worker: &Worker) -> db::Result<()> {
    let mut tx = worker.context.db.scheduler().await?;
    let due = db::jobs::due(&mut tx, LIMIT).await?;
    let ending = db::seal::ending(&mut tx).await?;
    db::provider_batches::wake_ending(&mut tx).await?;
    tx.commit().await?;
    for (tenant_id, job_id) in due {
        expire(worker, tenant_id, job_id).await?;
    }
    for (tenant_id, job_id) in ending {
        let mut tx = worker.context.db.tenant(tenant_id).await?;
        db::seal::sweep(&mut tx, job_id).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn expire(worker: &Worker, tenant_id: TenantId, job_id: JobId) -> db::Result<()> {
    let mut tx = worker.context.db.tenant(tenant_id).await?;
    match db::jobs::transition(&mut tx, job_id, Event::DeadlinePassed).await {
        Ok(_) => tx.commit().await,
        // Somebody else was faster.
        Err(db::Error::Transition(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
