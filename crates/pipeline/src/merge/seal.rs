//! Seals a closed chunk: its outcomes leave Postgres, its rows become a part of the output.

use std::sync::Arc;

use dataset::chunk::FileError;
use dataset::work::Writer;
use db::chunks::Chunk;
use db::items::StoredAttempt;
use db::outcomes::ResultsFile;
use db::seal::{Finished, Sealed};
use db::steps::StepLease;
use domain::job::State;
use domain::money::Money;
use domain::outcome::{ItemError, Outcome, Status, Usage};

use super::chunk_files::ChunkFiles;
use crate::job::Job;
use crate::{Context, StepError};

/// The whole step.
pub(crate) async fn seal(context: &Context, lease: &StepLease, job: Arc<Job>, chunk_no: u32) -> Result<(), StepError> {
    loop {
        let Some(loaded) = load(context, lease, chunk_no).await? else { return Ok(()) };
        if write(context, lease, &job, loaded).await? == Finished::Sealed {
            return Ok(());
        }
    }
}

/// A chunk with one outcome per row.
struct Loaded {
    chunk: Chunk,
    generation: i32,
    outcomes: Vec<Outcome>,
    attempts: Vec<StoredAttempt>,
    /// Files that nobody needs once the chunk is sealed.
    used: Vec<String>,
}

/// `None`: there is nothing to seal, and the step is gone.
async fn load(context: &Context, lease: &StepLease, chunk_no: u32) -> Result<Option<Loaded>, StepError> {
    let mut tx = context.db.tenant(lease.tenant_id).await?;
    let work = db::jobs::work(&mut tx, lease.job_id).await?.ok_or(StepError::Lost)?;
    let chunk = db::chunks::get(&mut tx, lease.job_id, chunk_no).await?.ok_or(StepError::Lost)?;
    let rows = chunk.closed.length();
    let unfinished = unfinished(work.state);
    // A job that failed while its last rows were in flight has nothing to merge.
    if work.state.is_terminal() || chunk.sealed || (chunk.closed.count() < rows && unfinished.is_none()) {
        db::seal::skip(&mut tx, lease).await?;
        tx.commit().await?;
        return Ok(None);
    }
    let stored = db::outcomes::range(&mut tx, lease.job_id, work.generation, chunk.first_row, rows).await?;
    let attempts = db::items::attempts(&mut tx, lease.job_id, work.generation, chunk.first_row, rows, false).await?;
    let files = db::outcomes::results_files(&mut tx, lease.job_id, work.generation, chunk_no, 1).await?;
    tx.commit().await?;
    let mut known: Vec<Option<Outcome>> = vec![None; rows];
    for (row, outcome) in stored {
        known[usize::try_from(row - chunk.first_row).expect("a row of the chunk")] = Some(outcome);
    }
    read_files(context, lease, &files, &mut known).await?;
    let outcomes = (chunk.first_row..)
        .zip(known)
        .map(|(row, known)| known.or_else(|| unfinished.clone().map(|outcome| with_attempts(outcome, &attempts, row))))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| StepError::FailJob {
            code: "internal_error".to_owned(),
            detail: format!("chunk {chunk_no} has closed rows without an outcome"),
        })?;
    let used = files.into_iter().map(|file| file.path).collect();
    Ok(Some(Loaded { chunk, generation: work.generation, outcomes, attempts, used }))
}

/// Adds what provider batches brought.
async fn read_files(
    context: &Context,
    lease: &StepLease,
    files: &[ResultsFile],
    known: &mut [Option<Outcome>],
) -> Result<(), StepError> {
    let work = context.files(lease.tenant_id, lease.job_id);
    for file in files {
        let bytes = work.read(&file.path).await?;
        let outcomes = tokio::task::spawn_blocking(move || dataset::results::decode(bytes)).await??;
        if outcomes.len() != file.rows.count() {
            return Err(
                FileError::Damaged { what: "a provider batch's results differ in number from their rows" }.into()
            );
        }
        for (offset, outcome) in file.rows.iter().zip(outcomes) {
            known[offset] = Some(outcome);
        }
    }
    Ok(())
}

/// The outcome of rows that have none when their job ends.
fn unfinished(state: State) -> Option<Outcome> {
    let (status, code, message) = match state {
        State::Cancelling => (Status::Cancelled, "cancelled", "the job was cancelled before this row was answered"),
        State::Expiring => (Status::Expired, "expired", "the job's deadline passed before this row was answered"),
        State::Queued
        | State::Planning
        | State::Running
        | State::Merging
        | State::Paused(_)
        | State::Completed
        | State::Failed
        | State::Cancelled
        | State::Expired => return None,
    };
    Some(Outcome::unsent(status, ItemError::new(code, message)))
}

/// What was used for a row before its job ended stays on its account.
fn with_attempts(mut outcome: Outcome, attempts: &[StoredAttempt], row: u64) -> Outcome {
    for attempt in attempts.iter().filter(|attempt| attempt.row == row) {
        outcome.attempts += 1;
        outcome.model = Some(attempt.model.clone());
        outcome.usage += attempt.usage;
        outcome.cost = outcome.cost.zip(attempt.cost).map(|(sum, cost)| sum + cost);
    }
    outcome
}

/// What was used for rows that end with their job. Outcomes of their own are counted already.
fn unfinished_usage(outcomes: &[Outcome]) -> (Usage, Money) {
    let unfinished = outcomes.iter().filter(|outcome| matches!(outcome.status, Status::Cancelled | Status::Expired));
    unfinished.fold((Usage::default(), Money::ZERO), |(mut usage, cost), outcome| {
        usage += outcome.usage;
        (usage, cost + outcome.cost.unwrap_or_default())
    })
}

async fn write(context: &Context, lease: &StepLease, job: &Arc<Job>, loaded: Loaded) -> Result<Finished, StepError> {
    let Loaded { chunk, generation, outcomes, attempts, used } = loaded;
    let files = context.files(lease.tenant_id, lease.job_id);
    let input = files.read(&chunk.input_path).await?;
    let (encoded, outcomes) = {
        let (job, first_row) = (job.clone(), chunk.first_row);
        tokio::task::spawn_blocking(move || {
            ChunkFiles::encode(&job, input, first_row, &outcomes, &attempts).map(|files| (files, outcomes))
        })
        .await??
    };
    let chunk_no = chunk.chunk_no;
    let writer = Writer::Step { epoch: u64::try_from(lease.epoch).unwrap_or_default() };
    let paths = encoded.put(&files, chunk_no, generation, writer).await?;
    let rows: Vec<_> =
        outcomes.iter().map(|outcome| (outcome.status, outcome.error.as_ref().map(|e| e.code.as_str()))).collect();
    let sealed = Sealed {
        chunk_no,
        first_row: chunk.first_row,
        generation,
        closed: &chunk.closed,
        rows: &rows,
        results_path: &paths.results,
        attempts_path: paths.attempts.as_deref(),
        part_path: &paths.part,
        unfinished: unfinished_usage(&outcomes),
    };
    let mut tx = context.db.tenant(lease.tenant_id).await?;
    let finished = db::seal::finish(&mut tx, lease, &sealed).await?;
    tx.commit().await?;
    if finished == Finished::Sealed {
        for path in used {
            // One that stays goes with its job.
            if let Err(error) = files.remove(&path).await {
                tracing::warn!(job.id = %lease.job_id, path, error = &error as &dyn std::error::Error, "a used file was not removed");
            }
        }
    }
    Ok(finished)
}
