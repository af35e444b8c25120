//! What a provider lets a limit group do, as far as one process can see it.
//!
//! The limits are this process's own. Sharing them between workers replaces [`Rates`], and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use db::Database;
use db::limit_groups::Pause;
use domain::provider::{LimitGroup, RealtimeLimits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::Context;
use crate::run::rates::Rates;

/// A limit group's state.
pub(crate) struct Group {
    name: LimitGroup,
    limits: RealtimeLimits,
    /// Calls in flight.
    calls: Arc<Semaphore>,
    /// Calls sent whose results are not committed: what a kill could repeat. Twice the calls in flight, so that committing never
    /// holds up sending unless it falls far behind.
    uncommitted: Arc<Semaphore>,
    rates: Rates,
    gate: watch::Sender<Gate>,
    /// How often it was found that no call can work.
    pauses: watch::Sender<u64>,
    /// Rows a second that one dispatch got through lately.
    pace: AtomicU32,
    db: Database,
    probe_interval: Duration,
}

/// Whether calls may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Gate {
    Open,
    /// The provider asked for patience.
    Cooldown {
        until: Instant,
    },
    /// No call can work. From `until` on, one may try.
    Paused {
        until: Instant,
    },
    /// One call is trying.
    Probing,
}

/// The right to send one call.
pub(crate) struct Permit {
    /// Given back when the reply is there.
    call: OwnedSemaphorePermit,
    /// Given back when the result is committed.
    slot: Slot,
    probe: Option<Probe>,
}

/// Held until a result is committed; its drop lets another call be sent.
pub(crate) struct Slot {
    permit: OwnedSemaphorePermit,
    calls: usize,
}

impl Slot {
    /// Whether so many results that wait to be committed together begin to hold up sending.
    pub(crate) fn are_many(&self, waiting: usize) -> bool {
        2 * waiting >= self.calls || self.permit.semaphore().available_permits() == 0
    }
}

/// The one call that tries whether a paused group works again. Dropped undecided, it lets another one try.
struct Probe {
    group: Arc<Group>,
    decided: bool,
}

/// Longest time that a single refusal stops a whole group; the row itself waits for as long as it was told.
const MAX_COOLDOWN: Duration = Duration::from_mins(1);

impl Group {
    pub(crate) fn new(name: LimitGroup, limits: RealtimeLimits, paused: bool, context: &Context) -> Self {
        let calls = limits.max_concurrency.unwrap_or(RealtimeLimits::DEFAULT_MAX_CONCURRENCY).max(1) as usize;
        // Somebody else found it paused: try at once, as it may work by now.
        let gate = if paused { Gate::Paused { until: Instant::now() } } else { Gate::Open };
        Self {
            name,
            calls: Arc::new(Semaphore::new(calls)),
            uncommitted: Arc::new(Semaphore::new(2 * calls)),
            rates: Rates::new(&limits),
            limits,
            gate: watch::Sender::new(gate),
            pauses: watch::Sender::new(0),
            pace: AtomicU32::new(0),
            db: context.db.clone(),
            probe_interval: context.options.probe,
        }
    }

    pub(crate) fn limits(&self) -> &RealtimeLimits {
        &self.limits
    }

    pub(crate) fn max_calls(&self) -> usize {
        self.limits.max_concurrency.unwrap_or(RealtimeLimits::DEFAULT_MAX_CONCURRENCY).max(1) as usize
    }

    /// Grows with every pause. What a dispatch knows of its model from before one may be what somebody has mended since.
    pub(crate) fn pauses(&self) -> watch::Receiver<u64> {
        self.pauses.subscribe()
    }

    /// Whether no call can work, as far as is known.
    pub(crate) fn stands_still(&self) -> bool {
        match *self.gate.borrow() {
            Gate::Open | Gate::Cooldown { .. } => false,
            Gate::Paused { .. } | Gate::Probing => true,
        }
    }

    /// Rows that a dispatch of this group should have: some seconds' worth, so that a small job spreads over the workers, a fast
    /// one doesn't spend its time on forming dispatches, and a stopped one gives up little.
    pub(crate) fn dispatch_rows(&self) -> usize {
        const SECONDS: u32 = 5;
        (self.pace.load(Ordering::Relaxed) * SECONDS).max(64) as usize
    }

    /// Notes how fast a dispatch went.
    pub(crate) fn note_pace(&self, rows: usize, elapsed: Duration) {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let pace = f64::from(rows) / elapsed.as_secs_f64().max(0.001);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
        self.pace.store(pace.min(1e6) as u32, Ordering::Relaxed);
    }

    /// Waits until one more call of so many estimated input tokens may be sent.
    pub(crate) async fn admit(self: Arc<Self>, tokens: u32) -> Permit {
        // The group never closes its semaphores.
        let permit = self.uncommitted.clone().acquire_owned().await.expect("never closed");
        let call = self.calls.clone().acquire_owned().await.expect("never closed");
        // The gate first: what the rates gave before a long wait there would be stale after it.
        let mut probe = self.pass_gate().await;
        self.rates.wait(tokens).await;
        if probe.is_none() && !matches!(*self.gate.borrow(), Gate::Open) {
            probe = self.pass_gate().await;
        }
        Permit { call, slot: Slot { permit, calls: self.max_calls() }, probe }
    }

    /// Waits until calls may be sent, or this one as a probe.
    async fn pass_gate(self: &Arc<Self>) -> Option<Probe> {
        let mut gate = self.gate.subscribe();
        loop {
            let until = match *gate.borrow_and_update() {
                Gate::Open => return None,
                Gate::Cooldown { until } | Gate::Paused { until } => Some(until),
                Gate::Probing => None,
            };
            match until {
                Some(until) if until <= Instant::now() => {
                    if let Some(is_probe) = self.try_pass() {
                        return is_probe.then(|| Probe { group: self.clone(), decided: false });
                    }
                }
                Some(until) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => {}
                        _ = gate.changed() => {}
                    }
                }
                None => {
                    // The sender lives in `self`, so this fails never.
                    let _ = gate.changed().await;
                }
            }
        }
    }

    /// After a wait: opens a cooldown, or takes the one probe of a pause.
    fn try_pass(&self) -> Option<bool> {
        let mut passed = None;
        self.gate.send_if_modified(|gate| {
            let now = Instant::now();
            match *gate {
                Gate::Open => passed = Some(false),
                Gate::Cooldown { until } if until <= now => {
                    *gate = Gate::Open;
                    passed = Some(false);
                    return true;
                }
                Gate::Paused { until } if until <= now => {
                    *gate = Gate::Probing;
                    passed = Some(true);
                    return true;
                }
                Gate::Cooldown { .. } | Gate::Paused { .. } | Gate::Probing => {}
            }
            false
        });
        passed
    }

    /// The provider asked to wait: nobody sends for so long.
    pub(crate) fn cool_down(&self, asked: Duration) {
        let until = Instant::now() + asked.min(MAX_COOLDOWN);
        self.gate.send_if_modified(|gate| match *gate {
            Gate::Open => {
                *gate = Gate::Cooldown { until };
                true
            }
            Gate::Cooldown { until: before } if before < until => {
                *gate = Gate::Cooldown { until };
                true
            }
            Gate::Cooldown { .. } | Gate::Paused { .. } | Gate::Probing => false,
        });
    }

    /// No call can work until somebody mends something: one tries every `probe_interval`.
    fn pause(&self, pause: Pause) {
        tracing::warn!(limit_group = self.name.0, code = pause.code, detail = pause.detail, "limit group pauses");
        self.gate.send_replace(Gate::Paused { until: Instant::now() + self.probe_interval });
        self.pauses.send_modify(|pauses| *pauses += 1);
        self.publish(Some(pause));
    }

    /// Tells whoever asks why jobs wait. A lost write costs an explanation, nothing else.
    fn publish(&self, pause: Option<Pause>) {
        let (db, name) = (self.db.clone(), self.name.clone());
        tokio::spawn(async move {
            let written = async {
                let mut tx = db.scheduler().await?;
                db::limit_groups::set_pause(&mut tx, &name, pause.as_ref()).await?;
                tx.commit().await
            };
            if let Err(error) = written.await {
                tracing::warn!(limit_group = name.0, %error, "the limit group's pause was not written");
            }
        });
    }
}

impl Permit {
    /// The reply showed that calls work.
    pub(crate) fn worked(self) -> Slot {
        if let Some(mut probe) = self.probe {
            probe.decided = true;
            tracing::info!(limit_group = probe.group.name.0, "limit group goes on");
            probe.group.gate.send_replace(Gate::Open);
            probe.group.publish(None);
        }
        drop(self.call);
        self.slot
    }

    /// There was no reply, or one that doesn't show whether calls work: a paused group stays so until the next try.
    pub(crate) fn told_nothing(self) -> Slot {
        if let Some(mut probe) = self.probe {
            probe.decided = true;
            let until = Instant::now() + probe.group.probe_interval;
            probe.group.gate.send_replace(Gate::Paused { until });
        }
        drop(self.call);
        self.slot
    }

    /// The reply showed that no call can work. The first of the many that find it so stops the group.
    pub(crate) fn stopped(self, group: &Group, code: &str, detail: &str) -> Slot {
        let probing = self.probe.is_some();
        if let Some(mut probe) = self.probe {
            probe.decided = true;
        }
        if probing || !group.stands_still() {
            group.pause(Pause { code: code.to_owned(), detail: detail.to_owned() });
        }
        drop(self.call);
        self.slot
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.decided {
            self.group.gate.send_replace(Gate::Paused { until: Instant::now() });
        }
    }
}
