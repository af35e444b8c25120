//! Which counts of tokens are believed.

use domain::outcome::Usage;

/// More tokens than any request can use: whoever reports more is not believed.
const MAX_TOKENS_OF_A_CALL: u64 = 1_000_000_000;

/// A count that can be one.
pub(crate) fn tokens(count: Option<i64>) -> Option<u64> {
    u64::try_from(count?).ok().filter(|count| *count <= MAX_TOKENS_OF_A_CALL)
}

/// Sums of counts that can be.
pub(crate) fn believed(usage: Usage) -> Option<Usage> {
    (usage.input_tokens.max(usage.output_tokens) <= MAX_TOKENS_OF_A_CALL).then_some(usage)
}
