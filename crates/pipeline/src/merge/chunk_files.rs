//! What a sealed chunk has in object storage: its results, the attempts before them, and its part of the output.

use bytes::Bytes;
use dataset::attempts::AttemptRecord;
use dataset::chunk::FileError;
use dataset::output::OutputColumns;
use dataset::stores::StoreError;
use dataset::work::{JobFiles, WorkFile, Writer};
use db::items::StoredAttempt;
use domain::format::Format;
use domain::outcome::Outcome;

use crate::job::Job;

/// Encoded, and not written yet.
pub(crate) struct ChunkFiles {
    format: Format,
    results: Bytes,
    attempts: Option<Bytes>,
    part: Bytes,
}

/// Where they are, below the job's work prefix.
#[derive(Debug)]
pub(crate) struct Paths {
    pub results: String,
    pub attempts: Option<String>,
    pub part: String,
}

impl ChunkFiles {
    /// From the chunk's input file, one outcome per row, and its attempts that became none.
    pub(crate) fn encode(
        job: &Job,
        input: Bytes,
        first_row: u64,
        outcomes: &[Outcome],
        attempts: &[StoredAttempt],
    ) -> Result<Self, FileError> {
        let columns = OutputColumns::new(&job.source.schema, &job.spec.output.column_prefix)
            .map_err(|_| FileError::Damaged { what: "an output column has an input column's name" })?;
        let chunk = dataset::chunk::decode(input)?;
        let format = job.spec.output.format;
        let records: Vec<_> = attempts.iter().map(|attempt| record(attempt, first_row)).collect();
        Ok(Self {
            format,
            results: dataset::results::encode(&(first_row..).zip(outcomes).collect::<Vec<_>>())?,
            attempts: (!records.is_empty()).then(|| dataset::attempts::encode(&records)).transpose()?,
            part: dataset::output::encode_part(format, &columns, &chunk, outcomes)?,
        })
    }

    pub(crate) async fn put(
        self,
        files: &JobFiles,
        chunk: u32,
        generation: i32,
        writer: Writer,
    ) -> Result<Paths, StoreError> {
        let generation = u32::try_from(generation).unwrap_or_default();
        let results = WorkFile::ChunkResults { chunk, generation, writer };
        let part = WorkFile::Part { generation, chunk, writer, format: self.format };
        files.put(results, self.results).await?;
        files.put(part, self.part).await?;
        let mut attempts = None;
        if let Some(bytes) = self.attempts {
            let file = WorkFile::ChunkAttempts { chunk, generation, writer };
            files.put(file, bytes).await?;
            attempts = Some(file.to_string());
        }
        Ok(Paths { results: results.to_string(), attempts, part: part.to_string() })
    }
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
