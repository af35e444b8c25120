//! A job as workers use it: compiled once, shared by all its steps and dispatches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dataset::input::Source;
use domain::ids::{JobId, TenantId};
use domain::job::{Spec, State};

use crate::requests::Requests;
use crate::{Context, StepError};

/// The parts of a job that never change.
#[derive(Debug)]
pub(crate) struct Job {
    pub tenant_id: TenantId,
    pub id: JobId,
    pub spec: Spec,
    pub source: Source,
    pub requests: Requests,
}

/// Jobs that this worker has in hand, so that a dispatch doesn't compile its prompt again.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    known: Mutex<HashMap<JobId, Arc<Job>>>,
}

/// Compiled jobs that are kept. A job that falls out is loaded again.
const KEPT: usize = 256;

impl Jobs {
    pub(crate) async fn get(
        &self,
        context: &Context,
        tenant_id: TenantId,
        job_id: JobId,
    ) -> Result<Arc<Job>, StepError> {
        if let Some(job) = self.lock().get(&job_id) {
            return Ok(job.clone());
        }
        let (job, _) = load(context, tenant_id, job_id).await?;
        let job = Arc::new(job);
        let mut known = self.lock();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(job_id, job.clone());
        Ok(job)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Arc<Job>>> {
        // Whoever panicked while holding it left a map that is still a map.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The job, and how it stands.
pub(crate) async fn load(
    context: &Context,
    tenant_id: TenantId,
    job_id: JobId,
) -> Result<(Job, (State, i32)), StepError> {
    let mut tx = context.db.tenant(tenant_id).await?;
    let work = db::jobs::work(&mut tx, job_id).await?.ok_or(StepError::Lost)?;
    tx.commit().await?;
    let broken = |detail: String| StepError::FailJob { code: "internal_error".to_owned(), detail };
    let source: Source = serde_json::from_value(work.input).map_err(|error| broken(error.to_string()))?;
    let requests = Requests::new(&work.spec, &source.schema)
        .map_err(|errors| broken(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    Ok((Job { tenant_id, id: job_id, spec: work.spec, source, requests }, (work.state, work.generation)))
}
