//! Provider batches and the files that they work on, whatever the wire format: their life cycle, limits and faults.

mod answer;
mod calls;
mod config;
mod create;
mod download;
mod fault;
mod files;
mod ids;
mod inline;
mod life;
pub(crate) mod marker;
mod occasions;
mod operation;
mod outcome;
mod queue;
mod record;
mod run;
mod upload;
mod validate;
mod view;
mod webhook;
mod wire;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub(crate) use answer::{answer, error, prompt_tokens};
pub(crate) use calls::{cancel, delete_file, keep, list, poll};
pub use config::BatchConfig;
pub(crate) use create::{New, Refusal, create, create_queued, create_valid};
pub(crate) use download::download;
pub use fault::{CallFault, Operation, OperationFault};
pub(crate) use files::{Label, StoredFile};
pub(crate) use ids::Token;
pub(crate) use inline::{Inline, receive_inline};
pub(crate) use operation::operate;
pub use outcome::{ConfiguredOutcome, Outcome};
pub(crate) use queue::Full;
pub(crate) use record::ProviderBatch;
pub(crate) use upload::{Received, Upload, UploadError, Writer, receive};
pub(crate) use view::{Problem, Stage, View};
pub use webhook::Webhook;
pub(crate) use wire::{Answer, At, Errors, Item, Measured, RowKind, RowResult, Rules, Wire};

use crate::clock::Moment;
use crate::config::Config;
use crate::stats::BatchStats;
use files::{Files, OnDisk};
use ids::Ids;
use occasions::Occasions;
use queue::Queue;

/// All provider batches and files of a sandbox.
pub(crate) struct Batches {
    pub(crate) files: Files,
    ids: Ids,
    records: Mutex<HashMap<String, Arc<ProviderBatch>>>,
    queue: Queue,
    faults: Occasions,
    outcomes: Occasions,
    tasks: Mutex<JoinSet<()>>,
    /// Reading and writing files keeps a thread busy; more at once than processors gain nothing.
    workers: Semaphore,
    closing: AtomicBool,
}

impl Batches {
    pub fn new(epoch: u64) -> Self {
        Self {
            files: Files::new(),
            ids: Ids::new(epoch),
            records: Mutex::default(),
            queue: Queue::default(),
            faults: Occasions::default(),
            outcomes: Occasions::default(),
            tasks: Mutex::default(),
            workers: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
            closing: AtomicBool::new(false),
        }
    }

    /// A provider batch of the family, if clients can see it at `now`.
    pub fn get(&self, family: &str, id: &str, config: &Config, now: Moment) -> Option<Arc<ProviderBatch>> {
        let batch = self.records().get(id).map(Arc::clone)?;
        let lag = Duration::from_millis(config.batch.get_lag_ms);
        let visible = batch.wire.family() == family && !batch.is_lost() && age(&batch, now) >= lag;
        visible.then_some(batch)
    }

    /// The provider batches of the family that lists show at `now`, newest first.
    pub fn list(&self, family: &str, config: &Config, now: Moment) -> Vec<Arc<ProviderBatch>> {
        let lag = Duration::from_millis(config.batch.list_lag_ms);
        let records = self.records();
        let visible = records
            .values()
            .filter(|batch| batch.wire.family() == family && !batch.is_lost() && age(batch, now) >= lag);
        let mut batches: Vec<_> = visible.map(Arc::clone).collect();
        batches.sort_unstable_by_key(|batch| std::cmp::Reverse(batch.number));
        batches
    }

    /// Takes away a provider batch that has ended.
    pub fn forget(&self, id: &str) {
        self.records().remove(id);
    }

    pub fn stats(&self) -> BatchStats {
        let records = self.records();
        let mut stats =
            BatchStats { enqueued_tokens: self.queue.tokens(), files: self.files.count(), ..BatchStats::default() };
        for batch in records.values() {
            let stage = batch.stage();
            *stats.by_status.entry(stage.name().to_owned()).or_default() += 1;
            if !stage.has_ended() {
                stats.requests_queued += batch.size().0;
            }
        }
        stats
    }

    /// Begins to count faults anew: those of calls, of provider batches, or both.
    pub fn rearm(&self, faults: bool, outcomes: bool) {
        if faults {
            self.faults.clear();
        }
        if outcomes {
            self.outcomes.clear();
        }
    }

    /// Forgets what faults and limits have counted. Files and provider batches stay.
    pub fn reset(&self) {
        self.rearm(true, true);
        self.queue.clear();
    }

    /// Ends the lives of all provider batches where they stand, and removes all files.
    pub async fn stop(&self) {
        self.closing.store(true, Ordering::Relaxed);
        let mut tasks = std::mem::take(&mut *self.tasks());
        tasks.shutdown().await;
        self.files.close();
    }

    pub(self) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// For an id.
    pub fn token(&self) -> Token {
        self.ids.next()
    }

    /// A place for a new file.
    pub fn draft(&self, config: &Config) -> io::Result<(Token, OnDisk)> {
        self.files.draft(&self.ids, config.batch.directory.as_deref())
    }

    /// Runs work that blocks, when a worker is free.
    pub(self) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let _permit = self.workers.acquire().await.map_err(io::Error::other)?;
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }

    /// Lets a task live as long as the sandbox.
    pub(self) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn records(&self) -> MutexGuard<'_, HashMap<String, Arc<ProviderBatch>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn age(batch: &ProviderBatch, now: Moment) -> Duration {
    now.instant.saturating_duration_since(batch.created.instant)
}
