//! The rows of a dispatch, as they wait, are tried and end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dataset::chunk::ChunkInput;
use db::dispatches::DispatchLease;
use db::outcomes::History;
use domain::failure::Tally;
use domain::money::Money;
use domain::outcome::{ItemError, Usage};
use tokio::time::Instant;

use crate::job::Job;
use crate::requests::Request;
use crate::{Context, StepError};

/// A row that has no outcome yet, with what its earlier attempts left.
#[derive(Debug, Clone)]
pub(crate) struct OpenRow {
    pub chunk: Arc<Chunk>,
    pub offset: usize,
    pub tally: Tally,
    pub usage: Usage,
    /// `None` once an attempt's cost was unknown.
    pub cost: Option<Money>,
    /// When it failed first, in this process, in a way that may be the provider's.
    pub failed_at: Option<Instant>,
    /// Failed attempts that did not count.
    pub spared: u32,
}

#[derive(Debug)]
pub(crate) struct Chunk {
    pub chunk_no: u32,
    pub input: Arc<ChunkInput>,
}

impl OpenRow {
    /// From 0, in the whole input.
    pub(crate) fn number(&self) -> u64 {
        self.chunk.input.first_row + self.offset as u64
    }

    pub(crate) fn tokens(&self) -> u32 {
        self.chunk.input.meta[self.offset].tokens
    }

    /// Whether it failed before, in a way that may be the provider's.
    pub(crate) fn is_retry(&self) -> bool {
        self.failed_at.is_some() || self.tally.counted > 0
    }

    pub(crate) fn request(&self, job: &Job) -> Result<Request, ItemError> {
        job.requests.of(&self.chunk.input.rows, self.offset)
    }
}

/// Rows that may be sent now, and rows that wait for their time.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    ready: VecDeque<OpenRow>,
    waiting: BinaryHeap<Reverse<(Instant, usize)>>,
    parked: HashMap<usize, OpenRow>,
    tickets: usize,
}

impl Queue {
    pub(crate) fn push(&mut self, row: OpenRow) {
        self.ready.push_back(row);
    }

    /// Puts a row back to be the next one.
    pub(crate) fn push_front(&mut self, row: OpenRow) {
        self.ready.push_front(row);
    }

    pub(crate) fn push_after(&mut self, row: OpenRow, wait: Duration) {
        self.tickets += 1;
        self.waiting.push(Reverse((Instant::now() + wait, self.tickets)));
        self.parked.insert(self.tickets, row);
    }

    /// The next row that may be sent now.
    pub(crate) fn pop(&mut self) -> Option<OpenRow> {
        while let Some(Reverse((until, ticket))) = self.waiting.peek()
            && *until <= Instant::now()
        {
            self.ready.extend(self.parked.remove(ticket));
            self.waiting.pop();
        }
        self.ready.pop_front()
    }

    /// When the next waiting row may be sent.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse((until, _))| *until)
    }

    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.parked.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Loads the rows of a dispatch that have no outcome yet.
pub(crate) async fn load(context: &Context, lease: &DispatchLease, job: &Job) -> Result<Queue, StepError> {
    let mut queue = Queue::default();
    let mut tx = context.db.tenant(lease.tenant_id).await?;
    let dispatched = db::dispatches::rows(&mut tx, lease).await?;
    let mut chunks = Vec::with_capacity(dispatched.len());
    for part in dispatched {
        let chunk = db::chunks::get(&mut tx, lease.job_id, part.chunk_no).await?.ok_or(StepError::Lost)?;
        let histories = db::outcomes::histories(&mut tx, lease, chunk.first_row, part.rows.length()).await?;
        chunks.push((chunk, part.rows, histories));
    }
    tx.commit().await?;
    let files = context.files(job.tenant_id, job.id);
    for (chunk, rows, histories) in chunks {
        let bytes = files.read(&chunk.input_path).await?;
        let input = tokio::task::spawn_blocking(move || dataset::chunk::decode(bytes)).await??;
        let chunk = Arc::new(Chunk { chunk_no: chunk.chunk_no, input: Arc::new(input) });
        let mut histories: HashMap<u64, History> =
            histories.into_iter().map(|history| (history.row, history)).collect();
        for offset in rows.iter() {
            let history = histories.remove(&(chunk.input.first_row + offset as u64));
            enqueue(
                &mut queue,
                OpenRow::new(chunk.clone(), offset, history.as_ref()),
                history.map(|history| history.wait),
            );
        }
    }
    Ok(queue)
}

fn enqueue(queue: &mut Queue, row: OpenRow, wait: Option<Duration>) {
    match wait {
        Some(wait) if !wait.is_zero() => queue.push_after(row, wait),
        Some(_) | None => queue.push(row),
    }
}

impl OpenRow {
    fn new(chunk: Arc<Chunk>, offset: usize, history: Option<&History>) -> Self {
        let fresh = Self {
            chunk,
            offset,
            tally: Tally::default(),
            usage: Usage::default(),
            cost: Some(Money::ZERO),
            failed_at: None,
            spared: 0,
        };
        match history {
            Some(history) => Self {
                tally: Tally { counted: history.counted, total: history.total },
                usage: history.usage,
                cost: history.cost,
                ..fresh
            },
            None => fresh,
        }
    }
}
