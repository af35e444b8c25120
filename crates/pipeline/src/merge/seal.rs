//! Seals a closed chunk: its outcomes leave Postgres, its rows become a part of the output.

use std::sync::Arc;

use bytes::Bytes;
use dataset::attempts::AttemptRecord;
use dataset::chunk::FileError;
use dataset::output::OutputColumns;
use dataset::work::WorkFile;
use db::chunks::Chunk;
use db::items::StoredAttempt;
use db::outcomes::ResultsFile;
use db::seal::{Finished, Sealed};
use db::steps::StepLease;
use domain::format::Format;
use domain::job::State;
use domain::money::Money;
use domain::outcome::{ItemError, Outcome, Status, Usage};

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
    /// The file of a provider batch that brought every row's outcome: it is the chunk's results as it is.
    whole: Option<String>,
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
    let is_whole = |file: &ResultsFile| file.rows.count() == rows;
    let (whole, used): (Vec<_>, Vec<_>) = files.into_iter().partition(is_whole);
    let used = used.into_iter().map(|file| file.path).collect();
    let whole = whole.into_iter().next().map(|file| file.path);
    Ok(Some(Loaded { chunk, generation: work.generation, outcomes, attempts, used, whole }))
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
    let Loaded { chunk, generation, outcomes, attempts, used, whole } = loaded;
    let files = context.files(lease.tenant_id, lease.job_id);
    let input = files.read(&chunk.input_path).await?;
    let format = job.spec.output.format;
    let (encoded, outcomes) = {
        let (job, first_row, with_results) = (job.clone(), chunk.first_row, whole.is_none());
        tokio::task::spawn_blocking(move || {
            let results = with_results.then(|| encode_results(&outcomes, first_row)).transpose()?;
            encode(&job, format, input, first_row, &outcomes, &attempts)
                .map(|(part, attempts)| (Encoded { results, attempts, part }, outcomes))
        })
        .await??
    };
    let epoch = u64::try_from(lease.epoch).unwrap_or_default();
    let chunk_no = chunk.chunk_no;
    let file_generation = u32::try_from(generation).unwrap_or_default();
    let results = WorkFile::ChunkResults { chunk: chunk_no, generation: file_generation, epoch };
    let part = WorkFile::Part { generation: file_generation, chunk: chunk_no, epoch, format };
    if let Some(bytes) = encoded.results {
        files.put(results, bytes).await?;
    }
    files.put(part, encoded.part).await?;
    let mut attempts_path = None;
    if let Some(bytes) = encoded.attempts {
        let file = WorkFile::ChunkAttempts { chunk: chunk_no, generation: file_generation, epoch };
        files.put(file, bytes).await?;
        attempts_path = Some(file.to_string());
    }
    let rows: Vec<_> =
        outcomes.iter().map(|outcome| (outcome.status, outcome.error.as_ref().map(|e| e.code.as_str()))).collect();
    let sealed = Sealed {
        chunk_no,
        first_row: chunk.first_row,
        generation,
        closed: &chunk.closed,
        rows: &rows,
        results_path: &whole.unwrap_or_else(|| results.to_string()),
        attempts_path: attempts_path.as_deref(),
        part_path: &part.to_string(),
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

struct Encoded {
    results: Option<Bytes>,
    attempts: Option<Bytes>,
    part: Bytes,
}

fn encode_results(outcomes: &[Outcome], first_row: u64) -> Result<Bytes, FileError> {
    dataset::results::encode(&(first_row..).zip(outcomes).collect::<Vec<_>>())
}

/// The part, and the attempts if there are any.
fn encode(
    job: &Job,
    format: Format,
    input: Bytes,
    first_row: u64,
    outcomes: &[Outcome],
    attempts: &[StoredAttempt],
) -> Result<(Bytes, Option<Bytes>), FileError> {
    let columns = OutputColumns::new(&job.source.schema, &job.spec.output.column_prefix)
        .map_err(|_| FileError::Damaged { what: "an output column has an input column's name" })?;
    let chunk = dataset::chunk::decode(input)?;
    let records: Vec<_> = attempts.iter().map(|attempt| record(attempt, first_row)).collect();
    let attempts = (!records.is_empty()).then(|| dataset::attempts::encode(&records)).transpose()?;
    Ok((dataset::output::encode_part(format, &columns, &chunk, outcomes)?, attempts))
}

fn record(attempt: &StoredAttempt, first_row: u64) -> AttemptRecord {
    AttemptRecord {
        row: u32::try_from(attempt.row - first_row).expect("a chunk has at most 2,000 rows"),
        attempt: attempt.attempt,
        model: attempt.model.clone(),
        error: attempt.error.clone(),
        usage: attempt.usage,
        cost: attempt.cost,
        http_status: attempt.http_status,
        provider_request_id: attempt.request_id.clone(),
        late: attempt.late,
        at: attempt.created_at,
    }
}
