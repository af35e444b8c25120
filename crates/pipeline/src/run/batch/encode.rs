//! Encode: a dispatch's rows become requests in a file on this machine's disk, streamed, within every budget at once.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use dataset::chunk::ChunkInput;
use db::dispatches::DispatchRows;
use domain::outcome::ItemError;
use domain::row_set::RowSet;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use providers::{BatchDriver, EncodedFile};

use super::Step;
use super::ids::RequestIds;
use crate::StepError;
use crate::job::Job;

/// Encoded requests.
#[derive(Debug)]
pub(super) struct Encoded {
    pub path: PathBuf,
    pub bytes: u64,
    /// The rows in it, in the order of its lines.
    pub rows: Vec<DispatchRows>,
    pub requests: u64,
    /// Estimated input tokens.
    pub tokens: u64,
    /// Rows that no provider batch can hold.
    pub misfits: Vec<Misfit>,
}

/// A row that can't be sent in a provider batch.
#[derive(Debug)]
pub(super) struct Misfit {
    pub chunk_no: u32,
    pub first_row: u64,
    pub offset: usize,
    pub error: ItemError,
}

impl Encoded {
    pub(super) fn file<'a>(&'a self, name: &'a str) -> EncodedFile<'a> {
        EncodedFile { path: &self.path, bytes: self.bytes, name }
    }
}

/// Chunks whose rows are fetched ahead.
const AHEAD: usize = 2;

/// Encodes the rows of the dispatch that have no outcome yet. Rows that don't fit any more are left out.
pub(super) async fn encode(step: &Step<'_>) -> Result<Encoded, StepError> {
    let mut tx = step.context.db.tenant(step.lease.tenant_id).await?;
    let dispatched = db::dispatches::rows(&mut tx, step.lease).await?;
    let mut chunks = Vec::with_capacity(dispatched.len());
    for rows in dispatched {
        let chunk = db::chunks::get(&mut tx, step.lease.job_id, rows.chunk_no).await?.ok_or(StepError::Lost)?;
        chunks.push((chunk.input_path, rows));
    }
    tx.commit().await?;
    let files = step.context.files(step.lease.tenant_id, step.lease.job_id);
    let mut inputs = stream::iter(chunks)
        .map(|(path, rows)| {
            let files = files.clone();
            async move { Ok::<_, StepError>((files.read(&path).await?, rows)) }
        })
        .buffered(AHEAD);
    let mut encoder = Encoder::new(step)?;
    while let Some((bytes, rows)) = inputs.try_next().await? {
        let job = step.job.clone();
        encoder = tokio::task::spawn_blocking(move || {
            let chunk = dataset::chunk::decode(bytes)?;
            encoder.add(&job, chunk, &rows)?;
            Ok::<_, StepError>(encoder)
        })
        .await??;
        if encoder.is_full {
            break;
        }
    }
    encoder.finish()
}

/// The file that is being filled.
struct Encoder {
    driver: Arc<dyn BatchDriver>,
    prepared: bytes::Bytes,
    ids: RequestIds,
    separator: &'static [u8],
    max_requests: u64,
    max_bytes: u64,
    max_line_bytes: u64,
    max_tokens: u64,
    out: BufWriter<File>,
    is_full: bool,
    encoded: Encoded,
    name: String,
    line: Vec<u8>,
}

impl Encoder {
    fn new(step: &Step<'_>) -> Result<Self, StepError> {
        let path = step.spool.join("requests.jsonl");
        let file = File::create(&path).map_err(|error| StepError::retry("the spool directory", error))?;
        let max_bytes = step.limits.max_bytes();
        Ok(Self {
            driver: step.driver.clone(),
            prepared: step.driver.prepare(&step.job.spec.params),
            ids: RequestIds::new(step.batch.origin),
            separator: step.driver.habits().separator,
            max_requests: step.limits.max_requests().into(),
            max_bytes,
            max_line_bytes: step.limits.max_line_bytes.unwrap_or(max_bytes).min(max_bytes),
            max_tokens: step.limits.max_enqueued_tokens.unwrap_or(u64::MAX),
            out: BufWriter::with_capacity(1 << 20, file),
            is_full: false,
            encoded: Encoded { path, bytes: 0, rows: Vec::new(), requests: 0, tokens: 0, misfits: Vec::new() },
            name: String::new(),
            line: Vec::new(),
        })
    }

    fn add(&mut self, job: &Job, chunk: ChunkInput, wanted: &DispatchRows) -> Result<(), StepError> {
        let chunk = Arc::new(chunk);
        let mut taken = RowSet::empty(wanted.rows.length());
        for offset in wanted.rows.iter() {
            if let Err(error) = self.encode(job, &chunk, offset) {
                let (chunk_no, first_row) = (wanted.chunk_no, chunk.first_row);
                self.encoded.misfits.push(Misfit { chunk_no, first_row, offset, error });
                continue;
            }
            let tokens = u64::from(chunk.meta[offset].tokens);
            if !self.has_room(tokens) {
                self.is_full = true;
                break;
            }
            self.write().map_err(|error| StepError::retry("the spool directory", error))?;
            self.encoded.tokens += tokens;
            taken.insert(offset);
        }
        if !taken.is_empty() {
            self.encoded.rows.push(DispatchRows { chunk_no: wanted.chunk_no, rows: taken });
        }
        Ok(())
    }

    /// Puts a row's request into `line`.
    fn encode(&mut self, job: &Job, chunk: &ChunkInput, offset: usize) -> Result<(), ItemError> {
        let request = job.requests.of(&chunk.rows, offset)?;
        let own = request.params.map(|params| self.driver.prepare(&params));
        self.ids.write(chunk.first_row + offset as u64, &mut self.name);
        self.line.clear();
        self.driver.encode(own.as_ref().unwrap_or(&self.prepared), &self.name, &request.messages, &mut self.line);
        let bytes = self.line.len() as u64;
        if bytes + self.separator.len() as u64 > self.max_line_bytes {
            let limit = self.max_line_bytes;
            let detail = format!("the request has {bytes} bytes, and the provider takes {limit} in a provider batch");
            return Err(ItemError::new("request_too_large", detail));
        }
        Ok(())
    }

    /// Whether `line` fits every budget. The first row always fits the tokens: it has to go somewhere.
    fn has_room(&self, tokens: u64) -> bool {
        let bytes = (self.line.len() + self.separator.len()) as u64;
        self.encoded.requests < self.max_requests
            && self.encoded.bytes + bytes <= self.max_bytes
            && (self.encoded.requests == 0 || self.encoded.tokens + tokens <= self.max_tokens)
    }

    fn write(&mut self) -> std::io::Result<()> {
        if self.encoded.requests > 0 {
            self.out.write_all(self.separator)?;
            self.encoded.bytes += self.separator.len() as u64;
        }
        self.out.write_all(&self.line)?;
        self.encoded.bytes += self.line.len() as u64;
        self.encoded.requests += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<Encoded, StepError> {
        self.out.flush().map_err(|error| StepError::retry("the spool directory", error))?;
        Ok(self.encoded)
    }
}
