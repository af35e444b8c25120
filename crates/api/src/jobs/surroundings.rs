//! What else decides how a job looks: its tenant, its model, the time.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use db::TenantTx;
use db::jobs::Job;
use db::limit_groups::Pause;
use domain::job::State;
use domain::provider::{LimitGroup, ModelName};

use super::view::Reason;
use crate::admin::credentials;
use crate::problem::Problem;

/// What a job's view needs beside the job.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub now: DateTime<Utc>,
    tenant_suspended: bool,
    models: HashMap<ModelName, Surrounding>,
}

#[derive(Debug, Default)]
struct Surrounding {
    has_prices: bool,
    /// Why no call can work now.
    blocked: Option<Pause>,
}

impl Surroundings {
    pub(crate) async fn load(
        tx: &mut TenantTx,
        jobs: &[Job],
        tenant_suspended: bool,
        now: DateTime<Utc>,
    ) -> Result<Self, Problem> {
        let mut models = HashMap::new();
        for job in jobs {
            if !models.contains_key(&job.model) {
                models.insert(job.model.clone(), surrounding(tx, &job.model).await?);
            }
        }
        Ok(Self { now, tenant_suspended, models })
    }

    /// Why a job that could move does not.
    pub(super) fn standstill(&self, job: &Job) -> Option<Reason> {
        standstill(job.state, self.models.get(&job.model), self.tenant_suspended)
    }

    pub(super) fn has_prices(&self, model: &ModelName) -> bool {
        self.models.get(model).is_some_and(|surrounding| surrounding.has_prices)
    }
}

async fn surrounding(tx: &mut TenantTx, model: &ModelName) -> Result<Surrounding, Problem> {
    let blocked = |code: &str, detail: String| Some(Pause { code: code.to_owned(), detail });
    let Some(capability) = db::providers::capability(tx, model).await? else {
        let detail = format!("the record of `{model}` was deleted; when it is put again, the job goes on");
        return Ok(Surrounding { blocked: blocked("model_not_found", detail), ..Surrounding::default() });
    };
    let has_prices = capability.model.prices.is_some();
    if let Some(name) = capability.provider.credential.as_deref().filter(|_| !capability.has_credential) {
        return Ok(Surrounding { has_prices, blocked: blocked("credential_not_found", credentials::not_found(name)) });
    }
    let group = LimitGroup::of(&model.provider, &capability.provider, &capability.model);
    Ok(Surrounding { has_prices, blocked: db::limit_groups::pause(tx, &group).await? })
}

fn standstill(state: State, surrounding: Option<&Surrounding>, tenant_suspended: bool) -> Option<Reason> {
    let reason = |code: &str, detail: &str| Some(Reason { code: code.to_owned(), detail: detail.to_owned() });
    if state.is_terminal() {
        return None;
    }
    if matches!(state, State::Paused(_)) {
        return reason("paused_by_request", "somebody paused it; `POST /v1/jobs/{id}/resume` lets it go on");
    }
    if tenant_suspended {
        return reason("tenant_suspended", "an administrator has suspended the tenant");
    }
    let blocked =
        surrounding.and_then(|surrounding| surrounding.blocked.as_ref()).filter(|_| state == State::Running)?;
    reason(&blocked.code, &blocked.detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_is_explained() {
        let pause = Pause { code: "provider_auth_failed".into(), detail: "401".into() };
        let surrounding = Surrounding { has_prices: true, blocked: Some(pause) };
        let code = |state, suspended| standstill(state, Some(&surrounding), suspended).map(|reason| reason.code);
        assert_eq!(code(State::Running, false).as_deref(), Some("provider_auth_failed"));
        assert_eq!(code(State::Running, true).as_deref(), Some("tenant_suspended"));
        assert_eq!(code(State::Merging, false), None);
        assert_eq!(code(State::Completed, true), None);
    }
}
