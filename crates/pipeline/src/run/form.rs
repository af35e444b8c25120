//! Forms the next dispatch: whose turn it is, which way its rows go, and how many of them.

use std::time::Duration;

use db::SchedulerTx;
use db::dispatches::{Budget, Candidate, Destination, DispatchLease, OpenRows, UnderWay};
use db::limit_groups::Learned;
use domain::ids::{JobId, WorkerId};
use domain::money::Money;
use domain::outcome::Usage;
use domain::provider::{BatchLimits, LimitGroup, ModelName};
use domain::route::{self, Open, Route, Ways};

use crate::job::Jobs;
use crate::run::place::Place;
use crate::{Context, Registry, StepError};

/// What came of looking for rows to dispatch.
pub(crate) enum Formed {
    /// A real-time dispatch, leased by this worker.
    Realtime(DispatchLease),
    /// A provider batch, for any worker.
    Batch,
    /// No job has rows to dispatch now.
    Nothing,
}

/// Who forms.
pub(crate) struct Former<'a> {
    pub context: &'a Context,
    pub jobs: &'a Jobs,
    pub registry: &'a Registry,
    pub worker: WorkerId,
    /// Models that get no further real-time dispatch here now.
    pub saturated: Vec<ModelName>,
    /// No further real-time dispatch here now, for whatever model.
    pub is_full: bool,
}

/// Jobs that are looked at in one go.
const JOBS: usize = 32;
/// Rows of the first dispatch to a model whose pace is not known yet.
const FIRST_ROWS: usize = 64;
/// Provider batches of a job that are on their way to the provider at once: more would only wait there.
const ON_THEIR_WAY: usize = 3;
/// Rows of a job that are tried in real time before its first provider batch, where the provider checks late.
const PROBES: u32 = 3;
/// How long a job rests whose rows wait for something that gives a sign.
const REST: Duration = Duration::from_secs(5);

/// What is decided about a job's open rows.
enum Decision {
    Realtime {
        rows: usize,
        kept: bool,
    },
    Probe,
    Batch(Budget),
    Wait(Duration),
    /// Another turn may be better for it.
    Skip,
}

impl Former<'_> {
    /// Forms the next dispatch.
    pub(crate) async fn form(&self) -> Result<Formed, StepError> {
        let mut seen: Vec<JobId> = Vec::new();
        while seen.len() < JOBS {
            let mut tx = self.context.db.scheduler().await?;
            let Some(job) = db::dispatches::candidate(&mut tx, &self.saturated, &seen).await? else {
                return Ok(Formed::Nothing);
            };
            seen.push(job.job_id);
            if let Some(formed) = self.dispatch(&mut tx, &job).await? {
                tx.commit().await?;
                return Ok(formed);
            }
            tx.commit().await?;
        }
        Ok(Formed::Nothing)
    }

    async fn dispatch(&self, tx: &mut SchedulerTx, job: &Candidate) -> Result<Option<Formed>, StepError> {
        // A job whose model was taken away stands still in the real-time route, which says so.
        let capability = db::providers::capability(tx, &job.model).await?;
        let place = capability.map(|capability| {
            let group = LimitGroup::of(&job.model.provider, &capability.provider, &capability.model);
            let credential = capability.provider.credential.clone();
            (Place::of(capability), group, credential)
        });
        let decision = match &place {
            Some((place, group, _)) => match place.limits() {
                Some(limits) => self.decide(tx, job, place, group, &limits).await?,
                None => self.realtime(job, false),
            },
            None => self.realtime(job, false),
        };
        match (decision, place) {
            (Decision::Realtime { rows, kept }, _) => self.form_realtime(tx, job, rows, kept).await,
            (Decision::Probe, _) => {
                db::dispatches::note_probe(tx, job.job_id).await?;
                self.form_realtime(tx, job, 1, false).await
            }
            (Decision::Batch(budget), Some((place, group, credential))) => {
                let place = place.to_json();
                let credential_version = match &credential {
                    Some(name) => db::credentials::version(tx, name).await?,
                    None => None,
                };
                let destination = Destination {
                    place: &place,
                    limit_group: &group,
                    credential: credential.as_deref(),
                    credential_version,
                };
                let requests = db::dispatches::form_batch(tx, job, budget, &destination).await?;
                Ok((requests > 0).then_some(Formed::Batch))
            }
            (Decision::Wait(wait), _) => {
                db::dispatches::note_wait(tx, job.job_id, wait).await?;
                Ok(None)
            }
            (Decision::Batch(_), None) | (Decision::Skip, _) => Ok(None),
        }
    }

    async fn form_realtime(
        &self,
        tx: &mut SchedulerTx,
        job: &Candidate,
        rows: usize,
        kept: bool,
    ) -> Result<Option<Formed>, StepError> {
        let lease = self.context.options.lease;
        let formed = db::dispatches::form_realtime(tx, job, self.worker, lease, rows, kept).await?;
        Ok(formed.map(Formed::Realtime))
    }

    /// Real time, as many rows as the model's pace makes good, unless this worker has enough of them.
    fn realtime(&self, job: &Candidate, kept: bool) -> Decision {
        if self.is_full || self.saturated.contains(&job.model) {
            return Decision::Skip;
        }
        let pace = self.registry.known(&job.model).map_or(FIRST_ROWS, |model| model.group.dispatch_rows());
        Decision::Realtime { rows: pace, kept }
    }

    /// For a model with a batch API.
    async fn decide(
        &self,
        tx: &mut SchedulerTx,
        job: &Candidate,
        place: &Place,
        group: &LimitGroup,
        limits: &BatchLimits,
    ) -> Result<Decision, StepError> {
        let open = db::dispatches::open_rows(tx, job.job_id).await?;
        let learned = db::limit_groups::learned(tx, group).await?;
        if place.has_realtime() && open.realtime_only > 0 {
            return Ok(self.realtime(job, true));
        }
        let ways = Ways { batch: Some(limits), realtime: place.has_realtime() };
        let situation = Open {
            rows: open.rows,
            saving: self.saving(job, place, open).await?,
            time_left: job.time_left,
            p95: route::percentile(&learned.latencies, 95),
        };
        if route::choose(ways, situation) == Route::Realtime {
            return Ok(self.realtime(job, false));
        }
        if learned.paused_for.is_some_and(|paused| paused < self.context.options.probe) {
            return Ok(Decision::Wait(self.context.options.probe));
        }
        if !learned.rest.is_zero() {
            return Ok(Decision::Wait(learned.rest.min(REST)));
        }
        let under_way = db::dispatches::under_way(tx, job.job_id).await?;
        if place.checks_late(self.context)
            && place.has_realtime()
            && job.probes < PROBES
            && !self.was_tried(tx, job).await?
        {
            // The one under way tells.
            let probing = under_way.iter().any(|dispatch| dispatch.route == Route::Realtime);
            return Ok(if probing || self.is_full { Decision::Wait(REST) } else { Decision::Probe });
        }
        let budget = self.budget(job, limits, &learned, open).await?;
        let on_their_way = under_way.iter().filter(|dispatch| is_on_its_way(dispatch)).count();
        if on_their_way >= ON_THEIR_WAY {
            return Ok(Decision::Wait(REST));
        }
        let is_full = open.rows >= budget.requests
            || open.tokens >= budget.tokens
            || open.bytes + open.rows * budget.overhead >= budget.bytes;
        let median = route::percentile(&learned.latencies, 50);
        let may_open = under_way.iter().any(|dispatch| may_give_back(dispatch, median));
        Ok(route::wait_for_company(is_full, may_open, job.open_for).map_or(Decision::Batch(budget), Decision::Wait))
    }

    /// Whether an answer has shown that the job's requests work.
    async fn was_tried(&self, tx: &mut SchedulerTx, job: &Candidate) -> Result<bool, StepError> {
        Ok(db::dispatches::any_succeeded(tx, job.job_id).await?)
    }

    /// What the open rows would save, with answers as long as the job allows, and at most [`ANSWER_TOKENS`].
    async fn saving(&self, job: &Candidate, place: &Place, open: OpenRows) -> Result<Option<Money>, StepError> {
        const ANSWER_TOKENS: u64 = 256;
        let (Some(realtime), Some(batch)) = (place.tariff(Route::Realtime), place.tariff(Route::Batch)) else {
            return Ok(None);
        };
        let params = &self.jobs.get(self.context, job.tenant_id, job.job_id).await?.spec.params;
        let answer = params.max_output_tokens.map_or(ANSWER_TOKENS, |most| ANSWER_TOKENS.min(most.into()));
        let row = Usage { input_tokens: open.tokens / open.rows.max(1), cached_input_tokens: 0, output_tokens: answer };
        let saved = realtime.cost(&row).0.saturating_sub(batch.cost(&row).0);
        Ok(Some(Money(saved.saturating_mul(i64::try_from(open.rows).unwrap_or(i64::MAX)))))
    }

    async fn budget(
        &self,
        job: &Candidate,
        limits: &BatchLimits,
        learned: &Learned,
        open: OpenRows,
    ) -> Result<Budget, StepError> {
        let job = self.jobs.get(self.context, job.tenant_id, job.job_id).await?;
        let params = serde_json::to_vec(&job.spec.params).map_or(0, |json| json.len() as u64);
        // Measured on the longest of the formats: names, quotes and brackets around a short prompt.
        let overhead = 200 + params;
        let queue = match (limits.max_enqueued_tokens, learned.enqueued_tokens) {
            (Some(limit), Some(learned)) => Some(limit.min(learned)),
            (limit, learned) => limit.or(learned),
        };
        Ok(Budget {
            requests: limits.max_requests().into(),
            // Escapes make encoded text longer than rendered text; what doesn't fit stays open.
            bytes: limits.max_bytes(),
            overhead,
            tokens: queue.map_or(u64::MAX, |queue| token_budget(queue, limits, open)),
        })
    }
}

/// A part of the queue, so that the next provider batch is on its way while one runs and tenants can share; but not so small a part
/// that the provider would not take it.
fn token_budget(queue: u64, limits: &BatchLimits, open: OpenRows) -> u64 {
    let of_least = open.tokens / open.rows.max(1) * limits.min_items() + 1;
    (queue / 4).max(of_least).min(queue).max(1)
}

/// Not at the provider yet.
fn is_on_its_way(dispatch: &UnderWay) -> bool {
    matches!(dispatch.stage.as_deref(), Some("formed" | "uploaded" | "creating"))
}

/// Whether a dispatch may give rows back before rows that wait for company have waited long enough.
fn may_give_back(dispatch: &UnderWay, median: Option<Duration>) -> bool {
    match (dispatch.route, dispatch.stage.as_deref()) {
        (Route::Realtime, _) | (Route::Batch, Some("ended")) => true,
        (Route::Batch, Some("submitted")) => {
            median.is_some_and(|median| median.saturating_sub(dispatch.age) < route::COMPANY)
        }
        (Route::Batch, _) => median.is_some_and(|median| median < route::COMPANY),
    }
}
