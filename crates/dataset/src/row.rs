//! Rows of a batch, for templates.

use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use domain::row::{Cell, Row};

use crate::cell::cell;

/// One row of a shared batch. A cell is built when it is asked for, so a template costs what it reads.
#[derive(Clone)]
pub struct BatchRow {
    batch: Arc<RecordBatch>,
    index: usize,
}

impl BatchRow {
    /// # Panics
    /// If the batch has no such row.
    pub fn new(batch: Arc<RecordBatch>, index: usize) -> Self {
        assert!(index < batch.num_rows(), "row {index} of {}", batch.num_rows());
        Self { batch, index }
    }
}

impl Row for BatchRow {
    fn cell(&self, column: usize) -> Cell {
        self.batch.columns().get(column).map_or(Cell::Null, |array| cell(array, self.index))
    }
}

impl fmt::Debug for BatchRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchRow({} of {})", self.index, self.batch.num_rows())
    }
}
