//! The leases that this worker holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::{DispatchId, JobId, StepId};
use domain::provider::ModelName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::run::limits::Group;

/// A step in hand.
#[derive(Clone)]
pub(crate) struct HeldStep {
    pub epoch: i32,
    /// The lease is lost: the step is given up.
    pub lost: CancellationToken,
}

/// A dispatch in hand.
#[derive(Clone)]
pub(crate) struct HeldDispatch {
    pub job_id: JobId,
    pub model: ModelName,
    pub epoch: i32,
    /// No new call: the lease is lost, the job stands still, or the process stops.
    pub stop: CancellationToken,
    pub unsent: Arc<AtomicUsize>,
    /// Known once it is loaded.
    pub group: Option<Arc<Group>>,
}

/// What was held at a moment.
#[derive(Clone)]
pub(crate) struct Leases {
    pub steps: HashMap<StepId, HeldStep>,
    pub dispatches: HashMap<DispatchId, HeldDispatch>,
    pub provider_batches: HashMap<DispatchId, HeldStep>,
}

/// All of them, by id. No lock is held across an await.
pub(crate) struct Held {
    valid_until: Mutex<Instant>,
    steps: Mutex<HashMap<StepId, HeldStep>>,
    /// On the real-time route.
    dispatches: Mutex<HashMap<DispatchId, HeldDispatch>>,
    /// Of each, one step is in hand.
    provider_batches: Mutex<HashMap<DispatchId, HeldStep>>,
}

impl Held {
    /// Nothing yet. What is claimed from now on is held for at least a lease.
    pub(crate) fn new(lease: Duration) -> Self {
        Self {
            valid_until: Mutex::new(Instant::now() + lease),
            steps: Mutex::default(),
            dispatches: Mutex::default(),
            provider_batches: Mutex::default(),
        }
    }

    /// Whether the leases are sure to hold still. They are not while the database is away, or when this process was stopped for a
    /// while: nobody may send then until a heartbeat has told what is still ours.
    pub(crate) fn are_valid(&self) -> bool {
        Instant::now() < *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A heartbeat that began at `beat` went well.
    pub(crate) fn prolong(&self, beat: Instant, lease: Duration) {
        *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner) = beat + lease;
    }

    pub(crate) fn steps(&self) -> MutexGuard<'_, HashMap<StepId, HeldStep>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn dispatches(&self) -> MutexGuard<'_, HashMap<DispatchId, HeldDispatch>> {
        self.dispatches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn provider_batches(&self) -> MutexGuard<'_, HashMap<DispatchId, HeldStep>> {
        self.provider_batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that is held now.
    pub(crate) fn all(&self) -> Leases {
        Leases {
            steps: self.steps().clone(),
            dispatches: self.dispatches().clone(),
            provider_batches: self.provider_batches().clone(),
        }
    }

    /// Takes a step in hand. Where an earlier lease on it had run out unnoticed, that one is given up.
    pub(crate) fn take_step(&self, id: StepId, held: HeldStep) {
        if let Some(earlier) = self.steps().insert(id, held) {
            earlier.lost.cancel();
        }
    }

    /// The same for a dispatch.
    pub(crate) fn take_dispatch(&self, id: DispatchId, held: HeldDispatch) {
        if let Some(earlier) = self.dispatches().insert(id, held) {
            earlier.stop.cancel();
        }
    }

    /// The same for a provider batch.
    pub(crate) fn take_provider_batch(&self, id: DispatchId, held: HeldStep) {
        if let Some(earlier) = self.provider_batches().insert(id, held) {
            earlier.lost.cancel();
        }
    }

    /// A step has ended. A later lease on it stays.
    pub(crate) fn drop_step(&self, id: StepId, epoch: i32) {
        self.steps().retain(|held_id, held| *held_id != id || held.epoch != epoch);
    }

    /// The same for a dispatch.
    pub(crate) fn drop_dispatch(&self, id: DispatchId, epoch: i32) {
        self.dispatches().retain(|held_id, held| *held_id != id || held.epoch != epoch);
    }

    /// The same for a provider batch.
    pub(crate) fn drop_provider_batch(&self, id: DispatchId, epoch: i32) {
        self.provider_batches().retain(|held_id, held| *held_id != id || held.epoch != epoch);
    }

    /// After a heartbeat: what was held before it, and is no longer ours, is given up. What was claimed meanwhile is not looked at.
    /// Returns how many leases were lost.
    pub(crate) fn keep_only(
        &self,
        before: &Leases,
        steps: &HashMap<StepId, i32>,
        dispatches: &HashMap<DispatchId, i32>,
    ) -> u64 {
        let mut lost = 0;
        for (id, held) in before.steps.iter().filter(|(id, held)| steps.get(id) != Some(&held.epoch)) {
            // A step that has just ended is no loss.
            if self.steps().contains_key(id) {
                tracing::warn!(step.id = %id, "lease lost");
                lost += 1;
            }
            held.lost.cancel();
        }
        for (id, held) in before.dispatches.iter().filter(|(id, held)| dispatches.get(id) != Some(&held.epoch)) {
            if self.dispatches().contains_key(id) {
                tracing::warn!(dispatch.id = %id, "lease lost");
                lost += 1;
            }
            held.stop.cancel();
        }
        let given_up = before.provider_batches.iter().filter(|(id, held)| dispatches.get(id) != Some(&held.epoch));
        for (id, held) in given_up {
            if self.provider_batches().contains_key(id) {
                tracing::warn!(dispatch.id = %id, "lease lost");
                lost += 1;
            }
            held.lost.cancel();
        }
        lost
    }

    /// No new calls for any dispatch, and no more steps.
    pub(crate) fn stop_all(&self) {
        self.dispatches().values().for_each(|held| held.stop.cancel());
        self.steps().values().for_each(|held| held.lost.cancel());
        self.provider_batches().values().for_each(|held| held.lost.cancel());
    }

    /// Jobs that have a dispatch here.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        let mut jobs: Vec<_> = self.dispatches().values().map(|held| held.job_id).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs
    }

    /// Models whose limit group has enough to do here: further dispatches of theirs would only wait, in the place of others'.
    /// `slots` is how many dispatches there may be in all.
    pub(crate) fn saturated(&self, slots: usize) -> Vec<ModelName> {
        let dispatches = self.dispatches();
        let mut load: HashMap<*const Group, (usize, usize)> = HashMap::new();
        for held in dispatches.values() {
            if let Some(group) = &held.group {
                let (count, unsent) = load.entry(Arc::as_ptr(group)).or_default();
                *count += 1;
                *unsent += held.unsent.load(Ordering::Relaxed);
            }
        }
        let is_saturated = |group: &Arc<Group>| {
            let (count, unsent) = load.get(&Arc::as_ptr(group)).copied().unwrap_or_default();
            // One dispatch keeps one processor busy, so there should be two whatever they hold; but no group takes more than
            // half of the slots, and of one that stands still a single dispatch is enough to try it.
            group.stands_still() || 2 * count >= slots || (count >= 2 && unsent > 2 * group.max_calls())
        };
        // A dispatch whose group is not known yet is being loaded.
        dispatches
            .values()
            .filter(|held| held.group.as_ref().is_none_or(is_saturated))
            .map(|held| held.model.clone())
            .collect()
    }
}
