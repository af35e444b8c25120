//! Runs one claimed step.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use db::steps::StepLease;
use domain::step::Kind;
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::held::HeldStep;
use crate::StepError;
use crate::merge::{assemble, seal};

/// Waits after failed tries double up to this.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

pub(super) fn spawn(worker: &Arc<Worker>, lease: StepLease) {
    let lost = CancellationToken::new();
    worker.held.take_step(lease.step_id, HeldStep { epoch: lease.epoch, lost: lost.clone() });
    let worker = worker.clone();
    worker.tasks.clone().spawn(async move {
        let result = tokio::select! {
            result = AssertUnwindSafe(run(&worker, &lease)).catch_unwind() => Some(result.unwrap_or_else(|_| Err(panicked()))),
            () = lost.cancelled() => None,
        };
        if let Err(error) = end(&worker, &lease, result).await {
            tracing::warn!(step.id = %lease.step_id, error = &error as &dyn std::error::Error, "a step was not handed back");
        }
        worker.held.drop_step(lease.step_id, lease.epoch);
        worker.wake.notify_one();
    });
}

/// A panic is a bug; the step is tried again, after a wait.
fn panicked() -> StepError {
    StepError::Retry { what: "the step panicked".to_owned(), source: None }
}

async fn run(worker: &Worker, lease: &StepLease) -> Result<(), StepError> {
    let (context, tenant_id, job_id) = (&worker.context, lease.tenant_id, lease.job_id);
    match lease.kind {
        // Planning finds out more about the input, so what is known before is not kept.
        Kind::Plan => {
            let (job, _) = crate::job::load(context, tenant_id, job_id).await?;
            Box::pin(crate::plan::plan(context, lease, &job)).await
        }
        Kind::Seal { chunk_no } => {
            let job = worker.jobs.get(context, tenant_id, job_id).await?;
            seal::seal(context, lease, job, chunk_no).await
        }
        Kind::Assemble => {
            let job = worker.jobs.get(context, tenant_id, job_id).await?;
            Box::pin(assemble::assemble(context, lease, job)).await
        }
    }
}

/// `None`: the step was given up, because its lease is lost or the process stops.
async fn end(worker: &Worker, lease: &StepLease, result: Option<Result<(), StepError>>) -> db::Result<()> {
    let mut tx = match &result {
        Some(Ok(())) => return Ok(()),
        Some(Err(_)) | None => worker.context.db.tenant(lease.tenant_id).await?,
    };
    let handed_back = match result {
        Some(Ok(())) => Ok(()),
        // If it is ours still, another worker may go on at once.
        Some(Err(StepError::Lost)) | None => db::steps::hand_back(&mut tx, lease, Duration::ZERO, None).await,
        Some(Err(StepError::Retry { what, source })) => {
            tracing::warn!(job.id = %lease.job_id, step = lease.kind.name(), ?source, "{what}; the step will be tried again");
            let unit = fastrand::f64();
            let wait = Duration::from_secs(1)
                .saturating_mul(1 << lease.failures.min(6))
                .min(LONGEST_WAIT)
                .mul_f64(0.5 + unit / 2.0);
            db::steps::hand_back(&mut tx, lease, wait, Some(&what)).await
        }
        Some(Err(StepError::FailJob { code, detail })) => {
            tracing::info!(job.id = %lease.job_id, step = lease.kind.name(), code, "the job failed");
            db::steps::fail_job(&mut tx, lease, &code, &detail).await
        }
    };
    match handed_back {
        Ok(()) => tx.commit().await,
        Err(db::Error::Fenced) => {
            worker.context.metrics.fenced.inc();
            Ok(())
        }
        Err(error) => Err(error),
    }
}
