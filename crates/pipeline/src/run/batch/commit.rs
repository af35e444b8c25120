//! Commits what a provider batch brought, chunk by chunk, each once. A chunk that it brought as a whole is sealed at once, while its answers are
//! in memory; of others the outcomes wait in a file for the rest.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use dataset::stores::StoreError;
use dataset::work::{JobFiles, WorkFile, Writer};
use db::chunks::Chunk;
use db::items::StoredAttempt;
use db::outcomes::{ChunkResults, Stored};
use db::provider_batches::SentChunk;
use db::seal::Sealed;
use domain::job::State;
use domain::money::Money;
use domain::outcome::{Outcome, Usage};
use futures::stream::{self, FuturesUnordered, StreamExt as _, TryStreamExt as _};
use providers::Reply;
use providers::client::Arrival;
use tokio::sync::mpsc;

use super::gather::{Gathered, Gatherer};
use super::outcomes::{ChunkRows, Reconciled, Reconciler};
use super::{Halt, Step, collect};
use crate::StepError;
use crate::job::Job;
use crate::merge::chunk_files::{ChunkFiles, Paths};

/// Chunks that are worked on at once.
const AT_ONCE: usize = 1;

/// Commits chunks while results arrive: those of which every row has an answer. Returns what is left when all is there.
pub(super) async fn while_they_come(
    step: &Step<'_>,
    reconciler: &Arc<Reconciler>,
    mut results: Gatherer,
    mut arrivals: mpsc::Receiver<Arrival>,
) -> Result<Gatherer, Halt> {
    let (mut ready, mut work, mut is_open) = (VecDeque::new(), FuturesUnordered::new(), true);
    loop {
        while work.len() < AT_ONCE
            && let Some(chunk) = ready.pop_front()
        {
            work.push(commit_chunk(step, reconciler, chunk, Rows::Answered));
        }
        if work.is_empty() && !is_open {
            return Ok(results);
        }
        tokio::select! {
            Some(done) = work.next() => match done? {
                Ended::Waits(chunk) => results.put_back(chunk),
                Ended::Committed { chunk, .. } => results.collected(chunk),
            },
            arrival = arrivals.recv(), if is_open && work.len() < AT_ONCE => match arrival {
                Some(Arrival::Piece(piece)) => ready.extend(results.add(&piece)),
                Some(Arrival::Restart) => results.restart(),
                Some(Arrival::End) => ready.extend(results.end_file()),
                None => is_open = false,
            },
        }
        if results.is_full() {
            let spilled = tokio::task::spawn_blocking(move || results.spill()).await.map_err(StepError::from)?;
            results = spilled.map_err(|error| StepError::retry("the spool directory", error))?;
        }
    }
}

/// Commits what is left. Returns how many rows the results say nothing of.
pub(super) async fn rest(step: &Step<'_>, reconciler: &Arc<Reconciler>, results: Gatherer) -> Result<u64, Halt> {
    let commit = |chunk| commit_chunk(step, reconciler, chunk, Rows::All);
    let mut chunks = stream::iter(results.into_rest()).map(commit).buffer_unordered(AT_ONCE);
    let mut missing = 0;
    while let Some(ended) = chunks.try_next().await? {
        if let Ended::Committed { missing: of_chunk, .. } = ended {
            missing += of_chunk;
        }
    }
    Ok(missing)
}

/// Which chunks can be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// Those of which every row has an answer: whatever is yet to come doesn't matter to them.
    Answered,
    All,
}

/// What became of a chunk.
enum Ended {
    /// Some row may be answered by what is yet to come.
    Waits(Gathered),
    Committed {
        chunk: Gathered,
        missing: u64,
    },
}

async fn commit_chunk(
    step: &Step<'_>,
    reconciler: &Arc<Reconciler>,
    mut chunk: Gathered,
    rows: Rows,
) -> Result<Ended, Halt> {
    let _memory = step.context.answers.take(chunk.lines.bytes()).await;
    let replies;
    (chunk, replies) = read(reconciler.clone(), chunk).await?;
    let is_answered = |offset: usize| replies[offset].as_ref().is_some_and(|reply| reply.result.is_ok());
    if rows == Rows::Answered && !chunk.sent.rows.iter().all(is_answered) {
        return Ok(Ended::Waits(chunk));
    }
    chunk.lines.clear();
    let prepared = prepare(step, reconciler, &chunk.sent, replies).await?;
    // Before the chunk counts as collected: a stop that nobody noted would cost these rows another try.
    if let Some(failure) = &prepared.found.standstill {
        collect::pause(step, failure).await?;
    }
    match commit(step, chunk.sent.chunk_no, &prepared).await? {
        Stored::Done => Ok(Ended::Committed { chunk, missing: prepared.found.missing }),
        // Hardly ever: only a call that outlived its lease answers a row of somebody else's.
        Stored::Changed => {
            let what = "a row was answered while the results of its chunk were merged".to_owned();
            Err(StepError::Retry { what, source: None }.into())
        }
    }
}

async fn read(reconciler: Arc<Reconciler>, chunk: Gathered) -> Result<(Gathered, Vec<Option<Reply>>), Halt> {
    let read = tokio::task::spawn_blocking(move || {
        let replies = reconciler.read(chunk.sent.rows.length(), &chunk.lines);
        replies.map(|replies| (chunk, replies))
    });
    let read = read.await.map_err(StepError::from)?;
    Ok(read.map_err(|error| StepError::retry("the spool directory", error))?)
}

/// A chunk's results, of which the database knows nothing yet. Its answers are in files.
struct Prepared {
    chunk: Chunk,
    found: Reconciled,
    written: Written,
}

enum Written {
    Nothing,
    /// The outcomes that there are.
    Outcomes(String),
    /// All that a sealed chunk has.
    Whole(Paths),
}

async fn prepare(
    step: &Step<'_>,
    reconciler: &Arc<Reconciler>,
    sent: &SentChunk,
    replies: Vec<Option<Reply>>,
) -> Result<Prepared, Halt> {
    let (lease, length) = (step.lease, sent.rows.length());
    let mut tx = step.context.db.tenant(lease.tenant_id).await?;
    let chunk = db::chunks::get(&mut tx, lease.job_id, sent.chunk_no).await?.ok_or(StepError::Lost)?;
    let histories = db::outcomes::histories(&mut tx, lease, chunk.first_row, length).await?;
    // Rows that are somebody else's by now may have attempts that nobody here knows of, and of a failed job nothing is merged.
    let may_be_whole = step.batch.owns_rows
        && step.batch.job_state != State::Failed
        && chunk.closed.is_empty()
        && sent.rows.count() == length;
    let attempts = if may_be_whole && !histories.is_empty() {
        db::items::attempts(&mut tx, lease.job_id, lease.generation, chunk.first_row, length, false).await?
    } else {
        Vec::new()
    };
    tx.commit().await?;
    let files = step.context.files(lease.tenant_id, lease.job_id);
    let whole = if may_be_whole {
        let input = files.read(&chunk.input_path).await.map_err(StepError::from)?;
        Some(Whole { job: step.job.clone(), input, attempts })
    } else {
        None
    };
    let (first_row, closed) = (chunk.first_row, chunk.closed.clone());
    let state = ChunkRows { first_row, sent: sent.rows.clone(), closed, histories };
    let reconciler = reconciler.clone();
    let (found, encoded) = tokio::task::spawn_blocking(move || {
        let mut found = reconciler.reconcile(&state, replies);
        let encoded = Encoded::of(&mut found, first_row, length, whole)?;
        Ok::<_, StepError>((found, encoded))
    })
    .await
    .map_err(StepError::from)??;
    let written = encoded.put(step, &files, sent.chunk_no).await.map_err(StepError::from)?;
    Ok(Prepared { chunk, found, written })
}

/// What sealing needs beside the outcomes.
struct Whole {
    job: Arc<Job>,
    input: Bytes,
    attempts: Vec<StoredAttempt>,
}

enum Encoded {
    Nothing,
    Outcomes(Bytes),
    Whole(ChunkFiles),
}

impl Encoded {
    /// Takes the answers out of what was found, in the thread that made them: there their memory serves the next chunk.
    fn of(found: &mut Reconciled, first_row: u64, rows: usize, whole: Option<Whole>) -> Result<Self, StepError> {
        if found.outcomes.is_empty() {
            return Ok(Self::Nothing);
        }
        let encoded = match whole {
            Some(whole) if found.outcomes.len() == rows => {
                let mut outcomes: Vec<Outcome> = found.outcomes.drain(..).map(|(_, outcome)| outcome).collect();
                let files = ChunkFiles::encode(&whole.job, whole.input, first_row, &outcomes, &whole.attempts)?;
                for outcome in &mut outcomes {
                    outcome.response = None;
                }
                found.outcomes = (first_row..).zip(outcomes).collect();
                Self::Whole(files)
            }
            _ => {
                let outcomes: Vec<_> = found.outcomes.iter().map(|(row, outcome)| (*row, outcome)).collect();
                let bytes = dataset::results::encode(&outcomes)?;
                for (_, outcome) in &mut found.outcomes {
                    outcome.response = None;
                }
                Self::Outcomes(bytes)
            }
        };
        Ok(encoded)
    }

    async fn put(self, step: &Step<'_>, files: &JobFiles, chunk_no: u32) -> Result<Written, StoreError> {
        let lease = step.lease;
        let epoch = u64::try_from(lease.epoch).unwrap_or_default();
        match self {
            Self::Nothing => Ok(Written::Nothing),
            Self::Outcomes(bytes) => {
                let file = WorkFile::BatchResults { dispatch: lease.dispatch_id, chunk: chunk_no, epoch };
                files.put(file, bytes).await?;
                Ok(Written::Outcomes(file.to_string()))
            }
            Self::Whole(encoded) => {
                let writer = Writer::Dispatch { id: lease.dispatch_id, epoch };
                Ok(Written::Whole(encoded.put(files, chunk_no, lease.generation, writer).await?))
            }
        }
    }
}

async fn commit(step: &Step<'_>, chunk_no: u32, prepared: &Prepared) -> Result<Stored, Halt> {
    let Prepared { chunk, found, written } = prepared;
    let path = match written {
        Written::Whole(paths) => return commit_whole(step, chunk, found, paths).await,
        Written::Nothing if found.is_empty() => return Ok(Stored::Done),
        Written::Nothing => None,
        Written::Outcomes(path) => Some(path.as_str()),
    };
    let results = ChunkResults {
        chunk_no,
        outcomes: &found.outcomes,
        path,
        attempts: &found.attempts,
        late: &found.late,
        realtime_only: &found.realtime_only,
    };
    let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
    let stored = db::outcomes::commit_results(&mut tx, step.lease, &results).await?;
    if stored == Stored::Done {
        tx.commit().await?;
    }
    Ok(stored)
}

async fn commit_whole(step: &Step<'_>, chunk: &Chunk, found: &Reconciled, paths: &Paths) -> Result<Stored, Halt> {
    let outcomes = found.outcomes.iter().map(|(_, outcome)| outcome);
    let rows: Vec<_> =
        outcomes.map(|outcome| (outcome.status, outcome.error.as_ref().map(|error| error.code.as_str()))).collect();
    let sealed = Sealed {
        chunk_no: chunk.chunk_no,
        first_row: chunk.first_row,
        generation: step.lease.generation,
        closed: &chunk.closed,
        rows: &rows,
        results_path: &paths.results,
        attempts_path: paths.attempts.as_deref(),
        part_path: &paths.part,
        unfinished: (Usage::default(), Money::ZERO),
    };
    let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
    let stored = db::outcomes::commit_whole(&mut tx, step.lease, &found.outcomes, &sealed).await?;
    if stored == Stored::Done {
        tx.commit().await?;
    }
    Ok(stored)
}
