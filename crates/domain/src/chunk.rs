//! Where one chunk ends and the next begins.

/// Most rows of a chunk.
pub const MAX_ROWS: usize = 2_000;
/// Most bytes of a chunk's rendered prompts. A single row that is larger makes a chunk of its own.
pub const MAX_BYTES: u64 = 8_000_000;

/// What a chunk holds so far. Independent of the route: a chunk is data, not work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    pub rows: usize,
    pub bytes: u64,
    pub tokens: u64,
}

impl Fill {
    /// Whether one more row of so many bytes still belongs to this chunk.
    pub fn takes(&self, row_bytes: u64) -> bool {
        self.rows == 0 || (self.rows < MAX_ROWS && self.bytes.saturating_add(row_bytes) <= MAX_BYTES)
    }

    pub fn add(&mut self, row_bytes: u64, row_tokens: u64) {
        self.rows += 1;
        self.bytes = self.bytes.saturating_add(row_bytes);
        self.tokens = self.tokens.saturating_add(row_tokens);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chunks_cover_the_input_exactly_once_within_their_budgets(
            rows in prop::collection::vec(0_u64..3_000_000, 1..5_000)
        ) {
            let mut chunks = vec![Fill::default()];
            for bytes in &rows {
                if !chunks.last().is_some_and(|fill| fill.takes(*bytes)) {
                    chunks.push(Fill::default());
                }
                if let Some(fill) = chunks.last_mut() {
                    fill.add(*bytes, 1);
                }
            }
            prop_assert_eq!(chunks.iter().map(|fill| fill.rows).sum::<usize>(), rows.len());
            for fill in chunks {
                prop_assert!(fill.rows <= MAX_ROWS && (fill.bytes <= MAX_BYTES || fill.rows == 1));
            }
        }
    }

    #[test]
    fn a_row_over_the_budget_still_fits_somewhere() {
        assert!(Fill::default().takes(u64::MAX));
    }
}
