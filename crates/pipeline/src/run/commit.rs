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

use crate::run::limits::Slot;

/// Most rows of a group.
const GROUP_ROWS: usize = 500;
/// How long a small group waits for more. A commit costs the same for one row and for a hundred.
const LINGER: Duration = Duration::from_millis(15);
/// Bounds of the wait before a commit is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

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
    pub(crate) fn start(db: Database) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, messages) = mpsc::unbounded_channel();
        (Self { queue }, tokio::spawn(write(db, messages)))
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

async fn write(db: Database, mut messages: mpsc::UnboundedReceiver<Message>) {
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
            commit_rows(&db, tenant_id, rows).await;
        }
        for (lease, done) in settlements {
            let mut tries = Tries::of("settling a dispatch");
            while tries.again(settle(&db, &lease).await).await {}
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

/// The results of one dispatch in one chunk.
struct ChunkResults {
    lease: Arc<DispatchLease>,
    chunk_no: u32,
    outcomes: Vec<RowOutcome>,
    attempts: Vec<Attempt>,
}

async fn commit_rows(db: &Database, tenant_id: TenantId, rows: Vec<Row>) {
    let mut slots = Vec::with_capacity(rows.len());
    // In the order in which every writer locks chunks.
    let mut chunks: BTreeMap<(JobId, u32, DispatchId, i32), ChunkResults> = BTreeMap::new();
    for Row { lease, chunk_no, result, slot } in rows {
        slots.push(slot);
        let key = (lease.job_id, chunk_no, lease.dispatch_id, lease.epoch);
        let chunk = chunks.entry(key).or_insert_with(|| ChunkResults {
            lease,
            chunk_no,
            outcomes: Vec::new(),
            attempts: Vec::new(),
        });
        match result {
            RowResult::Outcome(outcome) => chunk.outcomes.push(outcome),
            RowResult::Attempt(attempt) => chunk.attempts.push(attempt),
        }
    }
    let chunks: Vec<_> = chunks.into_values().collect();
    let mut tries = Tries::of("committing outcomes");
    let mut repeated = false;
    while tries.again(commit(db, tenant_id, &chunks, &mut repeated).await).await {}
    if tries.failed {
        // One of them can't be stored at all: the others must not suffer for it.
        for chunk in chunks.chunks(1) {
            let mut tries = Tries::of("committing one chunk's outcomes");
            let mut repeated = repeated;
            while tries.again(commit(db, tenant_id, chunk, &mut repeated).await).await {}
        }
    }
}

/// One try. Sets `repeated` once it may have been committed, whatever is heard of it.
async fn commit(db: &Database, tenant_id: TenantId, chunks: &[ChunkResults], repeated: &mut bool) -> db::Result<()> {
    let mut tx = db.tenant(tenant_id).await?;
    if chunks.len() > 1 {
        let dispatches: Vec<_> = chunks.iter().map(|chunk| chunk.lease.dispatch_id).collect();
        db::dispatches::lock(&mut tx, &dispatches).await?;
    }
    for chunk in chunks {
        let ChunkResults { lease, chunk_no, outcomes, attempts } = chunk;
        let committed = db::outcomes::commit(&mut tx, lease, *chunk_no, outcomes, attempts, *repeated).await?;
        if committed.late > 0 || committed.fenced > 0 {
            let (late, fenced) = (committed.late, committed.fenced);
            tracing::warn!(job.id = %lease.job_id, dispatch.id = %lease.dispatch_id, late, fenced, "results came too late");
        }
    }
    *repeated = true;
    tx.commit().await
}

async fn settle(db: &Database, lease: &DispatchLease) -> db::Result<()> {
    let mut tx = db.tenant(lease.tenant_id).await?;
    db::dispatches::settle(&mut tx, lease).await?;
    tx.commit().await
}

/// Repeats a transaction for as long as the database is away: what is paid for is not dropped.
struct Tries {
    what: &'static str,
    wait: Duration,
    /// It ended with an error that no waiting helps.
    failed: bool,
}

impl Tries {
    fn of(what: &'static str) -> Self {
        Self { what, wait: RETRY.0, failed: false }
    }

    /// Whether to try again; waits before it says so.
    async fn again(&mut self, result: db::Result<()>) -> bool {
        let Err(error) = result else { return false };
        if !error.is_transient() {
            tracing::error!(error = &error as &dyn std::error::Error, "{} failed", self.what);
            self.failed = true;
            return false;
        }
        tracing::warn!(error = &error as &dyn std::error::Error, "{} will be tried again", self.what);
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(RETRY.1);
        true
    }
}
