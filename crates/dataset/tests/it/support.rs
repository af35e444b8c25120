//! What the tests share.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use dataset::chunk::{ChunkInput, RowMeta};
use dataset::input::{self, Cursor, InputBatch, InputError, InputSchema, Pinned, ReadOptions};
use dataset::output::{IfExists, OutputColumns, Part, assemble, encode_part};
use dataset::stores::Location;
use domain::format::Format;
use domain::money::Money;
use domain::outcome::{ItemError, Outcome, Status, Usage};
use futures::{StreamExt, TryStreamExt, stream};

use crate::places::Place;

/// An input that can be read.
#[derive(Debug)]
pub struct Opened {
    pub location: Location,
    pub pinned: Pinned,
    pub schema: Arc<InputSchema>,
}

impl Opened {
    pub async fn new(location: Location, options: impl Into<ReadOptions>) -> Result<Self, InputError> {
        let pinned = input::pin(&location).await?;
        let schema = Arc::new(input::inspect(&location, &pinned, options.into()).await?);
        Ok(Self { location, pinned, schema })
    }

    pub async fn batches(&self, from: Cursor) -> Result<Vec<InputBatch>, InputError> {
        input::read(self.location.clone(), self.pinned.clone(), self.schema.clone(), from).try_collect().await
    }

    pub async fn all(&self) -> Result<Vec<InputBatch>, InputError> {
        self.batches(self.schema.start()).await
    }
}

/// Batches of a CSV text.
pub async fn read_csv(text: impl Into<Bytes>) -> Result<Vec<InputBatch>, InputError> {
    let place = Place::file();
    let location = place.with("in.csv", text.into());
    Opened::new(location, Format::Csv).await?.all().await
}

/// Cells of text columns, row by row; `None` is null.
pub fn text_rows(batches: &[InputBatch]) -> Vec<Vec<Option<String>>> {
    let cell = |column: &ArrayRef, row| {
        let column = column.as_string::<i32>();
        arrow::array::Array::is_valid(column, row).then(|| column.value(row).to_owned())
    };
    let rows = |batch: &RecordBatch| -> Vec<Vec<_>> {
        (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| cell(column, row)).collect()).collect()
    };
    batches.iter().flat_map(|batch| rows(&batch.rows)).collect()
}

/// A chunk of everything that was read.
pub fn chunk(schema: &InputSchema, batches: &[InputBatch]) -> ChunkInput {
    let mut meta = Vec::new();
    for batch in batches {
        let start = meta.len();
        meta.resize(start + batch.rows.num_rows(), RowMeta { bytes: 7, tokens: 3, request_hash: [1; 32], error: None });
        for (row, error) in &batch.row_errors {
            meta[start + row].error = Some(error.clone());
        }
    }
    let slices: Vec<RecordBatch> = batches.iter().map(|batch| batch.rows.clone()).collect();
    ChunkInput::new(&schema.stored(), &slices, batches[0].first_row, meta).expect("a chunk")
}

/// Outcomes of all kinds.
pub fn outcomes(count: usize) -> Vec<Outcome> {
    (0..count).map(outcome).collect()
}

fn outcome(row: usize) -> Outcome {
    match row % 4 {
        0 | 1 => Outcome {
            status: Status::Succeeded,
            response: Some(format!("answer {row}: \"quoted\", two\nlines")),
            error: None,
            model: Some("sandbox/echo".into()),
            finish_reason: Some("stop".into()),
            usage: Usage { input_tokens: row as u64, cached_input_tokens: 1, output_tokens: 5 },
            cost: Some(Money(1_500_000_000 + i64::try_from(row).expect("small"))),
            attempts: 1 + u32::try_from(row % 3).expect("small"),
        },
        2 => Outcome::unsent(Status::Failed, ItemError::new("template_error", "no such filter")),
        _ => Outcome { cost: None, ..Outcome::unsent(Status::Expired, ItemError::new("deadline", "too late")) },
    }
}

/// Reads an input in chunks of `rows`, merges, and writes an output; returns the chunks.
pub async fn convert(input: &Opened, target: &Location, format: Format) -> Vec<ChunkInput> {
    let batches = input.all().await.expect("rows");
    let columns = OutputColumns::new(&input.schema, "llm_").expect("no conflict");
    let chunks: Vec<ChunkInput> =
        batches.iter().map(|batch| chunk(&input.schema, std::slice::from_ref(batch))).collect();
    let parts: Vec<Part> = chunks.iter().map(|chunk| part(format, &columns, chunk)).collect();
    let total: usize = chunks.iter().map(ChunkInput::len).sum();
    let assembled = assemble(format, &columns, ok(parts), target, IfExists::Error).await.expect("an output");
    assert_eq!(assembled.rows, total as u64);
    chunks
}

pub fn part(format: Format, columns: &OutputColumns, chunk: &ChunkInput) -> Part {
    let bytes = encode_part(format, columns, chunk, &outcomes(chunk.len())).expect("a part");
    Part { bytes, rows: chunk.len() as u64 }
}

pub fn ok(parts: Vec<Part>) -> impl futures::Stream<Item = Result<Part, InputError>> + Send {
    stream::iter(parts).map(Ok)
}
