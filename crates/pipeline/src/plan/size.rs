//! How large a row's request is, and whether it is the same as another's.

use std::sync::Arc;

use aws_lc_rs::digest;
use dataset::chunk::RowMeta;
use dataset::input::InputBatch;
use dataset::row::Rows;
use domain::chunk::MAX_BYTES;
use domain::outcome::ItemError;
use domain::prompt::{Message, Prompt};
use domain::row::Row;

/// Renders every row, to size and hash its request.
pub(super) fn rows(prompt: &Prompt, rows: &Rows, batch: &InputBatch) -> Vec<RowMeta> {
    let shared = Arc::new(batch.rows.clone());
    let mut row_errors = batch.row_errors.iter().peekable();
    (0..shared.num_rows())
        .map(|index| match row_errors.next_if(|(row, _)| *row == index) {
            Some((_, error)) => RowMeta { bytes: 0, tokens: 0, request_hash: [0; 32], error: Some(error.clone()) },
            None => row(prompt, &rows.row(&shared, index)),
        })
        .collect()
}

/// Most bytes of a row's rendered prompt: what a chunk may hold.
const MAX_PROMPT_BYTES: usize = 8_000_000;
const _: () = assert!(MAX_PROMPT_BYTES as u64 == MAX_BYTES);

fn row(prompt: &Prompt, row: &Arc<dyn Row>) -> RowMeta {
    match prompt.render(row, MAX_PROMPT_BYTES) {
        Ok(messages) => {
            let bytes: usize = messages.iter().map(|message| message.text.len()).sum();
            let bytes = u32::try_from(bytes).expect("rendering is bounded far below 4 GB");
            RowMeta { bytes, tokens: estimate_tokens(bytes), request_hash: hash(&messages), error: None }
        }
        Err(error) => {
            let error = ItemError::new(error.code(), error.to_string());
            RowMeta { bytes: 0, tokens: 0, request_hash: [0; 32], error: Some(error) }
        }
    }
}

/// Four bytes a token is the usual ratio of English text. It only paces: bills and caps never rest on it.
fn estimate_tokens(bytes: u32) -> u32 {
    bytes.div_ceil(4)
}

/// SHA-256 over roles and texts, with lengths between, so that no two requests run together.
fn hash(messages: &[Message]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for message in messages {
        context.update(message.role.name().as_bytes());
        context.update(&(message.text.len() as u64).to_be_bytes());
        context.update(message.text.as_bytes());
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
