//! Plan: reads the input once, as a stream, and cuts it into chunks. Nothing is sent before it has ended.

mod columns;
mod custom_ids;
mod size;

use std::sync::Arc;

use arrow::array::Array as _;
use arrow::record_batch::RecordBatch;
use dataset::chunk::{ChunkInput, RowMeta};
use dataset::input::{Cursor, InputBatch};
use dataset::json_lines::ColumnTypes;
use dataset::output::OutputColumns;
use dataset::work::WorkFile;
use db::chunks::NewChunk;
use db::steps::StepLease;
use domain::chunk::{Fill, RowSize};
use domain::openai_line::LineModel;
use domain::outcome::{Outcome, Status};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use self::custom_ids::CustomIds;
use crate::job::Job;
use crate::requests::Requests;
use crate::{Context, StepError};

/// Where plan goes on after a crash: all chunks before it are committed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PlanCursor {
    input: Cursor,
    chunk_no: u32,
    /// Of the rows up to there, and maybe some more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    types: Option<ColumnTypes>,
}

/// The whole step.
pub(crate) async fn plan(context: &Context, lease: &StepLease, job: &Job) -> Result<(), StepError> {
    let mut tx = context.db.tenant(lease.tenant_id).await?;
    db::chunks::begin_plan(&mut tx, lease).await?;
    let cursor = db::steps::cursor(&mut tx, lease).await?;
    tx.commit().await?;
    let cursor = match cursor {
        Some(cursor) => serde_json::from_value(cursor).map_err(|error| StepError::retry("plan cursor", error))?,
        None => PlanCursor { input: job.source.schema.start(), chunk_no: 0, types: columns::wanted(job) },
    };
    let (model, custom_ids) = match &job.requests {
        Requests::Prompt { .. } => (None, None),
        Requests::Lines { .. } => {
            let ids = CustomIds::until(context, job, cursor.input).await?;
            (Some(Arc::new(line_model(context, job).await?)), Some(ids))
        }
    };
    let location = context.open(lease.tenant_id, &job.spec.input.uri, false).await?;
    let schema = Arc::new(job.source.schema.clone());
    let mut batches = dataset::input::read(location, job.source.pinned.clone(), schema, cursor.input);
    let mut planner = Planner {
        context,
        lease,
        job,
        cursor,
        kept_lines: columns::kept_lines(job)?,
        model,
        custom_ids,
        slices: Vec::new(),
        meta: Vec::new(),
        fill: Fill::default(),
    };
    while let Some(batch) = batches.next().await {
        planner.add(batch?).await?;
    }
    planner.end().await
}

/// What lines may ask for, by the model's record as it is now.
async fn line_model(context: &Context, job: &Job) -> Result<LineModel, StepError> {
    let name = job.spec.model.clone();
    let unknown = LineModel { name, upstream: None, max_output_tokens: None };
    let Ok(model) = job.spec.model.parse() else { return Ok(unknown) };
    let mut tx = context.db.tenant(job.tenant_id).await?;
    let capability = db::providers::capability(&mut tx, &model).await?;
    tx.commit().await?;
    Ok(match capability {
        Some(capability) => LineModel {
            upstream: Some(capability.model.upstream_model),
            max_output_tokens: capability.model.max_output_tokens,
            ..unknown
        },
        None => unknown,
    })
}

/// The chunk that is being filled.
struct Planner<'a> {
    context: &'a Context,
    lease: &'a StepLease,
    job: &'a Job,
    cursor: PlanCursor,
    kept_lines: Option<OutputColumns>,
    model: Option<Arc<LineModel>>,
    custom_ids: Option<CustomIds>,
    slices: Vec<RecordBatch>,
    meta: Vec<RowMeta>,
    fill: Fill,
}

impl Planner<'_> {
    async fn add(&mut self, batch: InputBatch) -> Result<(), StepError> {
        let (batch, sizes) = self.look_at(batch).await?;
        let cell_bytes = mean_cell_bytes(&batch.rows);
        let mut begin = 0;
        for (index, meta) in sizes.into_iter().enumerate() {
            let size = RowSize { bytes: meta.bytes.into(), tokens: meta.tokens.into(), cell_bytes };
            if !self.fill.takes(size) {
                self.slices.push(batch.rows.slice(begin, index - begin));
                self.cut(before(&batch, index, self.cursor.input)).await?;
                begin = index;
            }
            self.fill.add(size);
            self.meta.push(meta);
        }
        self.slices.push(batch.rows.slice(begin, batch.rows.num_rows() - begin));
        if let Some(after) = batch.cursors.last() {
            self.cursor.input = *after;
        }
        Ok(())
    }

    /// Sizes every row, and learns what is to be known of them all.
    async fn look_at(&mut self, batch: InputBatch) -> Result<(InputBatch, Vec<RowMeta>), StepError> {
        let (requests, model, kept_lines) = (self.job.requests.clone(), self.model.clone(), self.kept_lines.clone());
        let (mut types, mut custom_ids) = (self.cursor.types.take(), self.custom_ids.take());
        let (batch, sizes, suspects, types, custom_ids) = tokio::task::spawn_blocking(move || {
            let sizes = size::rows(&requests, model.as_deref(), &batch);
            types.as_mut().map_or(Ok(()), |types| types.add(&batch.rows))?;
            if let Some(conflict) = kept_lines.and_then(|columns| columns.conflict(&batch.rows)) {
                return Err(conflict.into());
            }
            let suspects = custom_ids.as_mut().map(|ids| ids.add(&batch.rows, batch.first_row)).unwrap_or_default();
            Ok::<_, StepError>((batch, sizes, suspects, types, custom_ids))
        })
        .await??;
        (self.cursor.types, self.custom_ids) = (types, custom_ids);
        for suspect in &suspects {
            custom_ids::check(self.context, self.job, suspect).await?;
        }
        Ok((batch, sizes))
    }

    /// Stores the chunk and moves the step's cursor past it.
    async fn cut(&mut self, next: Cursor) -> Result<(), StepError> {
        let meta = std::mem::take(&mut self.meta);
        let fill = std::mem::take(&mut self.fill);
        let slices = std::mem::take(&mut self.slices);
        let first_row = next.row - meta.len() as u64;
        let unsendable = unsendable(&meta);
        let columns = self.job.source.schema.stored();
        let bytes = tokio::task::spawn_blocking(move || {
            dataset::chunk::encode(&ChunkInput::new(&columns, &slices, first_row, meta)?)
        })
        .await??;
        let epoch = u64::try_from(self.lease.epoch).unwrap_or_default();
        let path = WorkFile::ChunkInput { chunk: self.cursor.chunk_no, epoch };
        self.context.files(self.lease.tenant_id, self.lease.job_id).put(path, bytes).await?;
        let chunk = NewChunk {
            chunk_no: self.cursor.chunk_no,
            first_row,
            row_count: u32::try_from(fill.rows).expect("a chunk has at most 2,000 rows"),
            bytes: fill.bytes,
            tokens: fill.tokens,
            input_path: &path.to_string(),
            unsendable: &unsendable,
        };
        self.cursor.chunk_no += 1;
        let cursor = PlanCursor { input: next, ..self.cursor.clone() };
        let cursor = serde_json::to_value(cursor).map_err(|error| StepError::retry("plan cursor", error))?;
        let mut tx = self.context.db.tenant(self.lease.tenant_id).await?;
        db::chunks::add(&mut tx, self.lease, &chunk, &cursor).await?;
        Ok(tx.commit().await?)
    }

    async fn end(mut self) -> Result<(), StepError> {
        if self.fill.rows > 0 {
            self.cut(self.cursor.input).await?;
        }
        let total_rows = self.cursor.input.row;
        if total_rows == 0 {
            let detail = "the input has no rows".to_owned();
            return Err(StepError::FailJob { code: "input_empty".to_owned(), detail });
        }
        let input = self.cursor.types.as_ref().map(|types| columns::planned(self.job, types)).transpose()?;
        let mut tx = self.context.db.tenant(self.lease.tenant_id).await?;
        db::chunks::end_plan(&mut tx, self.lease, total_rows, self.cursor.chunk_no, input.as_ref()).await?;
        Ok(tx.commit().await?)
    }
}

/// Bytes of a row's cells. Batches are small, so their mean is exact enough for a bound on memory.
fn mean_cell_bytes(rows: &RecordBatch) -> u64 {
    let bytes: usize = rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum();
    (bytes / rows.num_rows().max(1)) as u64
}

/// The place before a batch's row, where `start` is the place before its first.
fn before(batch: &InputBatch, index: usize, start: Cursor) -> Cursor {
    index.checked_sub(1).map_or(start, |previous| batch.cursors[previous])
}

fn unsendable(meta: &[RowMeta]) -> Vec<(usize, Outcome)> {
    meta.iter()
        .enumerate()
        .filter_map(|(offset, row)| Some((offset, Outcome::unsent(Status::Failed, row.error.clone()?))))
        .collect()
}
