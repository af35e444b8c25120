//! Rows as they come out of a file, and the thread that takes them out.

use arrow::record_batch::RecordBatch;
use domain::outcome::ItemError;
use futures::stream::{self, BoxStream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::InputError;

/// A place between two rows from which an input can be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Of text: the byte offset, decompressed. Of Parquet: the row.
    pub position: u64,
    /// Number of the row that comes next, from 0.
    pub row: u64,
    /// Of text: the line at `position`, from 1. Of Parquet: 0.
    pub line: u64,
}

/// Some rows of an input, in order.
#[derive(Debug, Clone)]
pub struct InputBatch {
    pub rows: RecordBatch,
    /// Number of the first row, from 0.
    pub first_row: u64,
    /// Rows that could not be read whole, by their index in the batch, ascending. Such a row has the cells that
    /// could be read and nulls.
    pub row_errors: Vec<(usize, ItemError)>,
    /// The place after each row.
    pub cursors: Vec<Cursor>,
}

/// Batches that wait for the consumer.
const BATCHES_AHEAD: usize = 2;

/// Where a reading thread puts its batches.
pub(super) struct BatchSink(mpsc::Sender<InputBatch>);

/// The consumer has gone away.
pub(super) struct Dropped;

impl BatchSink {
    pub(super) fn send(&self, batch: InputBatch) -> Result<(), Dropped> {
        self.0.blocking_send(batch).map_err(|_| Dropped)
    }
}

/// How a reading thread ends.
pub(super) enum Stop {
    Dropped,
    Failed(InputError),
}

impl From<Dropped> for Stop {
    fn from(Dropped: Dropped) -> Self {
        Self::Dropped
    }
}

impl From<InputError> for Stop {
    fn from(error: InputError) -> Self {
        Self::Failed(error)
    }
}

/// Runs `reader` on a thread where it may block and parse, and streams what it sends. `on_panic` says what a panic
/// there means.
pub(super) fn on_thread(
    on_panic: fn() -> InputError,
    reader: impl FnOnce(&BatchSink) -> Result<(), Stop> + Send + 'static,
) -> BoxStream<'static, Result<InputBatch, InputError>> {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let thread = tokio::task::spawn_blocking(move || reader(&BatchSink(sender)));
    stream::unfold((receiver, Some(thread)), move |state| next(state, on_panic)).boxed()
}

type Thread = JoinHandle<Result<(), Stop>>;
type State = (mpsc::Receiver<InputBatch>, Option<Thread>);

async fn next(
    (mut receiver, mut thread): State,
    on_panic: fn() -> InputError,
) -> Option<(Result<InputBatch, InputError>, State)> {
    if let Some(batch) = receiver.recv().await {
        return Some((Ok(batch), (receiver, thread)));
    }
    // The end of the batches is the end of the file only if the thread says so.
    match thread.take()?.await {
        Ok(Ok(()) | Err(Stop::Dropped)) => None,
        Ok(Err(Stop::Failed(error))) => Some((Err(error), (receiver, None))),
        Err(error) if error.is_panic() => Some((Err(on_panic()), (receiver, None))),
        Err(_cancelled) => Some((Err(InputError::ReaderStopped), (receiver, None))),
    }
}
