//! Where one chunk ends and the next begins.

/// Most rows of a chunk.
pub const MAX_ROWS: usize = 2_000;
/// Most bytes of a chunk's rendered prompts. A single row that is larger makes a chunk of its own.
pub const MAX_BYTES: u64 = 8_000_000;

/// Most bytes of a chunk's cells, whether the prompt reads them or not: what a worker holds in memory to run or seal it.
pub const MAX_CELL_BYTES: u64 = 32_000_000;

/// What a chunk holds so far. Independent of the route: a chunk is data, not work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    pub rows: usize,
    pub bytes: u64,
    pub tokens: u64,
    pub cell_bytes: u64,
}

/// What a row adds to a chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowSize {
    /// Of its rendered prompt.
    pub bytes: u64,
    /// Estimated, of its rendered prompt.
    pub tokens: u64,
    /// Of all its cells, as they are held in memory.
    pub cell_bytes: u64,
}

impl Fill {
    /// Whether one more row still belongs to this chunk.
    pub fn takes(&self, row: RowSize) -> bool {
        self.rows == 0
            || (self.rows < MAX_ROWS
                && self.bytes.saturating_add(row.bytes) <= MAX_BYTES
                && self.cell_bytes.saturating_add(row.cell_bytes) <= MAX_CELL_BYTES)
    }

    pub fn add(&mut self, row: RowSize) {
        self.rows += 1;
        self.bytes = self.bytes.saturating_add(row.bytes);
        self.tokens = self.tokens.saturating_add(row.tokens);
        self.cell_bytes = self.cell_bytes.saturating_add(row.cell_bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chunks_cover_the_input_exactly_once_within_their_budgets(
            rows in prop::collection::vec((0_u64..3_000_000, 0_u64..20_000_000), 1..5_000)
        ) {
            let mut chunks = vec![Fill::default()];
            for (bytes, cell_bytes) in &rows {
                let row = RowSize { bytes: *bytes, tokens: 1, cell_bytes: *cell_bytes };
                if !chunks.last().is_some_and(|fill| fill.takes(row)) {
                    chunks.push(Fill::default());
                }
                if let Some(fill) = chunks.last_mut() {
                    fill.add(row);
                }
            }
            prop_assert_eq!(chunks.iter().map(|fill| fill.rows).sum::<usize>(), rows.len());
            for fill in chunks {
                let within = fill.rows <= MAX_ROWS && fill.bytes <= MAX_BYTES && fill.cell_bytes <= MAX_CELL_BYTES;
                prop_assert!(within || fill.rows == 1);
            }
        }
    }

    #[test]
    fn a_row_over_the_budget_still_fits_somewhere() {
        assert!(Fill::default().takes(RowSize { bytes: u64::MAX, tokens: 0, cell_bytes: u64::MAX }));
    }
}
