//! Stores results for good: as long as the database is away it is tried again, and a result that it refuses becomes a dead letter.

use std::sync::Arc;
use std::time::Duration;

use db::Database;
use db::dispatches::DispatchLease;
use db::outcomes::{Attempt, RowOutcome};
use domain::ids::TenantId;
use domain::outcome::{ItemError, Status};
use tokio_util::sync::CancellationToken;

/// Bounds of the wait before a transaction is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The results of one dispatch in one chunk.
pub(crate) struct ChunkResults {
    pub lease: Arc<DispatchLease>,
    pub chunk_no: u32,
    pub outcomes: Vec<RowOutcome>,
    pub attempts: Vec<Attempt>,
}

impl ChunkResults {
    pub(crate) fn new(lease: Arc<DispatchLease>, chunk_no: u32) -> Self {
        Self { lease, chunk_no, outcomes: Vec::new(), attempts: Vec::new() }
    }

    /// One result each.
    fn split(self) -> impl Iterator<Item = Self> {
        let Self { lease, chunk_no, outcomes, attempts } = self;
        let of_attempt = {
            let lease = lease.clone();
            move |attempt| Self { attempts: vec![attempt], ..Self::new(lease.clone(), chunk_no) }
        };
        let of_outcome = move |outcome| Self { outcomes: vec![outcome], ..Self::new(lease.clone(), chunk_no) };
        attempts.into_iter().map(of_attempt).chain(outcomes.into_iter().map(of_outcome))
    }

    /// A result that can't be stored as it is: the row fails, and what it used is kept.
    fn into_dead_letter(mut self) -> Self {
        for RowOutcome { outcome, .. } in &mut self.outcomes {
            outcome.status = Status::Failed;
            outcome.error = Some(ItemError::new("internal_error", "the database refused to store this row's answer"));
            outcome.response = None;
            outcome.finish_reason = None;
        }
        self.attempts.clear();
        self
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    /// The database refuses it, however often it is asked.
    Refused,
    /// The process stops, and the database is away: the leases run out, and the rows are done again.
    GivenUp,
}

pub(crate) struct Store {
    db: Database,
    abort: CancellationToken,
}

impl Store {
    pub(crate) fn new(db: Database, abort: CancellationToken) -> Self {
        Self { db, abort }
    }

    pub(crate) async fn commit(&mut self, tenant_id: TenantId, chunks: Vec<ChunkResults>) {
        let mut repeated = false;
        match self.try_commit(tenant_id, &chunks, &mut repeated).await {
            End::Done => return,
            End::GivenUp => {
                let results: usize = chunks.iter().map(|chunk| chunk.outcomes.len() + chunk.attempts.len()).sum();
                tracing::error!(results, "results are lost with this process: their rows will be sent again");
                return;
            }
            End::Refused => {}
        }
        // One of them can't be stored: the others must not suffer for it.
        for result in chunks.into_iter().flat_map(ChunkResults::split) {
            let result = [result];
            if self.try_commit(tenant_id, &result, &mut repeated.clone()).await == End::Refused {
                let dead_letter = result.map(ChunkResults::into_dead_letter);
                self.try_commit(tenant_id, &dead_letter, &mut repeated.clone()).await;
            }
        }
    }

    async fn try_commit(&self, tenant_id: TenantId, chunks: &[ChunkResults], repeated: &mut bool) -> End {
        let mut wait = RETRY.0;
        loop {
            match commit(&self.db, tenant_id, chunks, repeated).await {
                Ok(()) => return End::Done,
                Err(error) => {
                    if let Some(end) = self.after(&error, "committing outcomes", &mut wait).await {
                        return end;
                    }
                }
            }
        }
    }

    /// Settles a dispatch: what has no outcome is open again.
    pub(crate) async fn settle(&self, lease: &DispatchLease) {
        let mut wait = RETRY.0;
        while let Err(error) = settle(&self.db, lease).await {
            if self.after(&error, "settling a dispatch", &mut wait).await.is_some() {
                return;
            }
        }
    }

    /// Waits before another try, or says how it ended.
    async fn after(&self, error: &db::Error, what: &str, wait: &mut Duration) -> Option<End> {
        if !error.is_transient() {
            tracing::error!(error = error as &dyn std::error::Error, "{what} failed");
            return Some(End::Refused);
        }
        tracing::warn!(error = error as &dyn std::error::Error, "{what} will be tried again");
        tokio::select! {
            () = tokio::time::sleep(*wait) => {}
            () = self.abort.cancelled() => return Some(End::GivenUp),
        }
        *wait = (*wait * 2).min(RETRY.1);
        None
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
