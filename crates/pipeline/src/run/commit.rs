//! Commits results in groups: one writer per worker, the next group as soon as the last has returned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use db::Database;
use db::dispatches::DispatchLease;
use db::outcomes::{Attempt, RowOutcome};
use domain::ids::{DispatchId, JobId, TenantId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::run::limits::Slot;
use crate::run::store::{ChunkResults, Store};

/// Most rows of a group.
const GROUP_ROWS: usize = 500;
/// How long a small group waits for more. A commit costs the same for one row and for a hundred.
const LINGER: Duration = Duration::from_millis(15);
/// A group ends with the answer that takes it past this.
const GROUP_BYTES: usize = 8_000_000;

/// The way to the writer; cheap to clone. What is under way is bounded by the slots, so the queue need not be.
#[derive(Clone)]
pub(crate) struct Committer {
    queue: mpsc::UnboundedSender<Message>,
}

pub(crate) enum RowResult {
    Outcome(RowOutcome),
    Attempt(Attempt),
}

#[expect(clippy::large_enum_variant, reason = "nearly every message is the large one")]
enum Message {
    Row { lease: Arc<DispatchLease>, chunk_no: u32, result: RowResult, slot: Slot },
    Settle { lease: Arc<DispatchLease>, done: oneshot::Sender<()> },
}

impl Committer {
    /// The writer runs until every handle is gone and all is written.
    ///
    /// Once `abort` is cancelled, what the database doesn't take at the first try is given up.
    pub(crate) fn start(db: Database, abort: CancellationToken) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, messages) = mpsc::unbounded_channel();
        (Self { queue }, tokio::spawn(write(db, messages, abort)))
    }

    /// Hands over a row's result. The slot is given back when it is committed.
    pub(crate) fn row(&self, lease: &Arc<DispatchLease>, chunk_no: u32, result: RowResult, slot: Slot) {
        // The writer outlives all handles; if it has panicked, the lease runs out and the row is done again.
        let _ = self.queue.send(Message::Row { lease: lease.clone(), chunk_no, result, slot });
    }

    /// Settles a dispatch, after all its results handed over before.
    pub(crate) async fn settle(&self, lease: &Arc<DispatchLease>) {
        let (done, settled) = oneshot::channel();
        let _ = self.queue.send(Message::Settle { lease: lease.clone(), done });
        let _ = settled.await;
    }
}

async fn write(db: Database, mut messages: mpsc::UnboundedReceiver<Message>, abort: CancellationToken) {
    let mut store = Store::new(db, abort);
    let mut group = Vec::with_capacity(GROUP_ROWS);
    while messages.recv_many(&mut group, GROUP_ROWS).await > 0 {
        linger(&mut messages, &mut group).await;
        let mut settlements = Vec::new();
        let mut tenants: BTreeMap<TenantId, Vec<Row>> = BTreeMap::new();
        for message in group.drain(..) {
            match message {
                Message::Row { lease, chunk_no, result, slot } => {
                    tenants.entry(lease.tenant_id).or_default().push(Row { lease, chunk_no, result, slot });
                }
                Message::Settle { lease, done } => settlements.push((lease, done)),
            }
        }
        for (tenant_id, rows) in tenants {
            commit_rows(&mut store, tenant_id, rows).await;
        }
        for (lease, done) in settlements {
            store.settle(&lease).await;
            let _ = done.send(());
        }
    }
}

/// Lets a small group grow, unless a dispatch waits to be settled or slots get short.
async fn linger(messages: &mut mpsc::UnboundedReceiver<Message>, group: &mut Vec<Message>) {
    let until = Instant::now() + LINGER;
    while group.len() < GROUP_ROWS && !group.iter().any(|message| message.is_urgent(group.len())) {
        let room = GROUP_ROWS - group.len();
        match tokio::time::timeout_at(until, messages.recv_many(group, room)).await {
            Ok(received) if received > 0 => {}
            Ok(_) | Err(_) => break,
        }
    }
}

impl Message {
    fn is_urgent(&self, waiting: usize) -> bool {
        match self {
            Self::Row { slot, .. } => slot.are_many(waiting),
            Self::Settle { .. } => true,
        }
    }
}

struct Row {
    lease: Arc<DispatchLease>,
    chunk_no: u32,
    result: RowResult,
    slot: Slot,
}

/// Commits one tenant's rows, in groups of bounded size.
async fn commit_rows(store: &mut Store, tenant_id: TenantId, rows: Vec<Row>) {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut bytes = 0;
        let mut slots = Vec::new();
        // In the order in which every writer locks chunks.
        let mut chunks: BTreeMap<(JobId, u32, DispatchId, i32), ChunkResults> = BTreeMap::new();
        while bytes < GROUP_BYTES
            && let Some(Row { lease, chunk_no, result, slot }) = rows.next()
        {
            slots.push(slot);
            let key = (lease.job_id, chunk_no, lease.dispatch_id, lease.epoch);
            let chunk = chunks.entry(key).or_insert_with(|| ChunkResults::new(lease, chunk_no));
            match result {
                RowResult::Outcome(outcome) => {
                    bytes += outcome.outcome.response.as_ref().map_or(0, String::len);
                    chunk.outcomes.push(outcome);
                }
                RowResult::Attempt(attempt) => chunk.attempts.push(attempt),
            }
        }
        store.commit(tenant_id, chunks.into_values().collect()).await;
    }
}
