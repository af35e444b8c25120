//! That no two lines of an input have the same `custom_id`.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use dataset::input::{Cursor, InputBatch};
use dataset::row::line;
use domain::openai_line::custom_id;
use futures::StreamExt as _;

use crate::job::Job;
use crate::{Context, StepError};

/// Hashes of the ids so far: 8 bytes an id, about 16 with the table's free places. Equal hashes are suspects only; the input is
/// read again to find out.
#[derive(Debug)]
pub(super) struct CustomIds {
    seen: HashSet<u64>,
    /// With a key of its own, so that nobody can make ids that collide.
    hasher: RandomState,
}

/// An id whose hash came before.
#[derive(Debug)]
pub(super) struct Suspect {
    id: String,
    row: u64,
}

impl CustomIds {
    /// Knows the ids of all rows before the cursor, for which it reads them again.
    pub(super) async fn until(context: &Context, job: &Job, cursor: Cursor) -> Result<Self, StepError> {
        let mut ids = Self { seen: HashSet::new(), hasher: RandomState::new() };
        if cursor.row == 0 {
            return Ok(ids);
        }
        let mut batches = read(context, job).await?;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let left = usize::try_from(cursor.row - batch.first_row).unwrap_or(usize::MAX);
            let known = batch.rows.slice(0, left.min(batch.rows.num_rows()));
            ids = tokio::task::spawn_blocking(move || {
                ids.add(&known, batch.first_row);
                ids
            })
            .await?;
            if batch.cursors.last().is_some_and(|last| last.row >= cursor.row) {
                break;
            }
        }
        Ok(ids)
    }

    /// Takes rows in; returns those whose ids may have come before.
    pub(super) fn add(&mut self, rows: &RecordBatch, first_row: u64) -> Vec<Suspect> {
        let lines = (0..rows.num_rows()).map(|index| line(rows, index).and_then(custom_id));
        let ids = (first_row..).zip(lines).filter_map(|(row, id)| Some(Suspect { id: id?, row }));
        ids.filter(|suspect| !self.seen.insert(self.hasher.hash_one(&suspect.id))).collect()
    }
}

/// Reads the input until the suspect's id is found or its row is reached.
///
/// # Errors
/// `duplicate_custom_id` with both rows.
pub(super) async fn check(context: &Context, job: &Job, suspect: &Suspect) -> Result<(), StepError> {
    let mut batches = read(context, job).await?;
    while let Some(batch) = batches.next().await {
        let InputBatch { rows, first_row, .. } = batch?;
        for (row, index) in (first_row..suspect.row).zip(0..rows.num_rows()) {
            if line(&rows, index).and_then(custom_id).as_ref() == Some(&suspect.id) {
                let id: String = suspect.id.chars().take(200).collect();
                let detail = format!("the `custom_id` {id:?} stands in row {row} and in row {}", suspect.row);
                return Err(StepError::FailJob { code: "duplicate_custom_id".to_owned(), detail });
            }
        }
        if first_row + rows.num_rows() as u64 >= suspect.row {
            break;
        }
    }
    Ok(())
}

type Batches = futures::stream::BoxStream<'static, Result<InputBatch, dataset::input::InputError>>;

/// The input from its first row.
async fn read(context: &Context, job: &Job) -> Result<Batches, StepError> {
    let location = context.open(job.tenant_id, &job.spec.input.uri, false).await?;
    let schema = Arc::new(job.source.schema.clone());
    Ok(dataset::input::read(location, job.source.pinned.clone(), schema.clone(), schema.start()))
}
