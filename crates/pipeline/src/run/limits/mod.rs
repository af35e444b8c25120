//! What a provider lets a limit group do: one limit for all workers together, of which each has a share.
//!
//! A call passes the [`gate`] (whether any call can work), then takes from this process's [`share`]: the breaker, the retry budget, and the
//! permits. The share is renewed by an [`exchange`] with the group's row in the database, every second while there is work.

mod exchange;
mod gate;
mod permit;
mod share;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use db::Database;
use db::limit_groups::Pause;
use domain::permits::Limits;
use domain::provider::{LimitGroup, RealtimeLimits};
use tokio::sync::{Notify, Semaphore};

use self::gate::Gate;
pub(crate) use self::permit::{Permit, Slot};
use self::share::{Admitted, Share, Wait};
use crate::Context;

/// A limit group's state in this process.
pub(crate) struct Group {
    name: LimitGroup,
    limits: RealtimeLimits,
    shared: Limits,
    /// Calls sent whose results are not committed: what a kill could repeat. Twice the calls in flight, so that committing never
    /// holds up sending unless it falls far behind.
    uncommitted: Arc<Semaphore>,
    gate: Arc<Gate>,
    share: Mutex<Share>,
    /// Whose call is the next: the others wait behind it, in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    /// A call has ended, or an exchange has.
    changed: Notify,
    /// An exchange is wanted before its time.
    wanted: Notify,
    is_exchanging: AtomicBool,
    /// Rows of this process's dispatches that are not sent.
    unsent: AtomicI64,
    /// As many as the last exchange knew of.
    told: AtomicUsize,
    /// How often it was found that no call can work.
    pauses: tokio::sync::watch::Sender<u64>,
    /// Rows a second that one dispatch got through lately.
    pace: AtomicU32,
    db: Database,
}

/// Longest time that a single refusal stops a whole group; the row itself waits for as long as it was told.
const MAX_COOLDOWN: Duration = Duration::from_mins(1);

/// Whoever waits for others looks again after so long.
const AGAIN: Duration = Duration::from_secs(1);

impl Group {
    pub(crate) fn new(name: LimitGroup, limits: RealtimeLimits, is_paused: bool, context: &Context) -> Self {
        let calls = limits.max_concurrency.unwrap_or(RealtimeLimits::DEFAULT_MAX_CONCURRENCY).max(1);
        Self {
            gate: Arc::new(Gate::new(name.clone(), is_paused, context.options.probe)),
            name,
            uncommitted: Arc::new(Semaphore::new(2 * calls as usize)),
            shared: Limits { calls: Some(calls), ..Limits::from(&limits) },
            limits,
            share: Mutex::new(Share::new()),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            wanted: Notify::new(),
            is_exchanging: AtomicBool::new(false),
            unsent: AtomicI64::new(0),
            told: AtomicUsize::new(0),
            pauses: tokio::sync::watch::Sender::new(0),
            pace: AtomicU32::new(0),
            db: context.db.clone(),
        }
    }

    pub(crate) fn limits(&self) -> &RealtimeLimits {
        &self.limits
    }

    /// Calls in flight, of all workers together.
    pub(crate) fn max_calls(&self) -> usize {
        self.limits.max_concurrency.unwrap_or(RealtimeLimits::DEFAULT_MAX_CONCURRENCY).max(1) as usize
    }

    /// Grows with every pause. What a dispatch knows of its model from before one may be what somebody has mended since.
    pub(crate) fn pauses(&self) -> tokio::sync::watch::Receiver<u64> {
        self.pauses.subscribe()
    }

    /// Whether no call can work, as far as is known.
    pub(crate) fn stands_still(&self) -> bool {
        self.gate.stands_still()
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

    /// So many rows more, or fewer, wait to be sent.
    pub(crate) fn note_unsent(self: &Arc<Self>, change: i64) {
        self.unsent.fetch_add(change, Ordering::Relaxed);
        // What was asked for by far fewer rows is not enough.
        if change > 0 && self.unsent() > 2 * self.told.load(Ordering::Relaxed) {
            exchange::ask(self);
        }
    }

    /// Whether a row that failed may be sent again now, beside the first attempts of others.
    pub(crate) fn may_retry(&self) -> bool {
        self.share().may_retry()
    }

    fn unsent(&self) -> usize {
        usize::try_from(self.unsent.load(Ordering::Relaxed)).unwrap_or_default()
    }

    fn share(&self) -> MutexGuard<'_, Share> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more call of so many estimated input tokens may be sent.
    pub(crate) async fn admit(self: Arc<Self>, input_tokens: u32, is_retry: bool) -> Permit {
        // The group never closes its semaphore.
        let slot = self.uncommitted.clone().acquire_owned().await.expect("never closed");
        let _turn = self.turn.lock().await;
        loop {
            // The gate first: what the share gave before a long wait there would be stale after it.
            let probe = self.gate.pass().await;
            let admitted = self.admitted(input_tokens, is_retry).await;
            if probe.is_none() && !self.gate.is_open() {
                self.share().forget(&admitted);
                continue;
            }
            let slot = Slot::new(slot, self.max_calls());
            return Permit::new(self.clone(), admitted, probe, slot);
        }
    }

    async fn admitted(self: &Arc<Self>, input_tokens: u32, is_retry: bool) -> Admitted {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let wait = match self.share().admit(input_tokens, is_retry) {
                Ok(admitted) => return admitted,
                Err(wait) => wait,
            };
            match wait {
                Wait::Until(until) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => {}
                        () = changed => {}
                    }
                }
                Wait::Exchange => {
                    exchange::ask(self);
                    let _ = tokio::time::timeout(AGAIN, changed).await;
                }
                Wait::Call => {
                    exchange::keep_up(self);
                    let _ = tokio::time::timeout(AGAIN, changed).await;
                }
            }
        }
    }

    /// The provider asked to wait: nobody sends for so long.
    pub(crate) fn cool_down(self: &Arc<Self>, asked: Duration) {
        let wait = asked.min(MAX_COOLDOWN);
        if self.gate.cool_down(wait) {
            self.share().cool_down(wait);
            exchange::ask(self);
        }
    }

    /// No call can work until somebody mends something.
    fn pause(&self, pause: Pause) {
        tracing::warn!(limit_group = self.name.0, code = pause.code, detail = pause.detail, "limit group pauses");
        self.gate.pause();
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
