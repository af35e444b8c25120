//! How large a row's request is, and whether it is the same as another's.

use std::sync::Arc;

use aws_lc_rs::digest;
use dataset::chunk::RowMeta;
use dataset::input::InputBatch;
use domain::chunk::MAX_BYTES;
use domain::openai_line::LineModel;
use domain::outcome::ItemError;

use crate::requests::{Request, Requests};

/// Makes every row's request, to size and hash it.
pub(super) fn rows(requests: &Requests, model: Option<&LineModel>, batch: &InputBatch) -> Vec<RowMeta> {
    let rows = Arc::new(batch.rows.clone());
    let mut row_errors = batch.row_errors.iter().peekable();
    (0..rows.num_rows())
        .map(|index| match row_errors.next_if(|(row, _)| *row == index) {
            Some((_, error)) => unsendable(error.clone()),
            None => requests
                .checked(&rows, index, MAX_PROMPT_BYTES, model)
                .map_or_else(unsendable, |request| size(&request)),
        })
        .collect()
}

/// Most bytes of a row's texts: what a chunk may hold.
const MAX_PROMPT_BYTES: usize = 8_000_000;
const _: () = assert!(MAX_PROMPT_BYTES as u64 == MAX_BYTES);

fn unsendable(error: ItemError) -> RowMeta {
    RowMeta { bytes: 0, tokens: 0, request_hash: [0; 32], error: Some(error) }
}

fn size(request: &Request) -> RowMeta {
    let bytes: usize = request.messages.iter().map(|message| message.text.len()).sum();
    let bytes = u32::try_from(bytes).expect("rendering is bounded far below 4 GB");
    RowMeta { bytes, tokens: estimate_tokens(bytes), request_hash: hash(request), error: None }
}

/// Four bytes a token is the usual ratio of English text. It only paces: bills and caps never rest on it.
fn estimate_tokens(bytes: u32) -> u32 {
    bytes.div_ceil(4)
}

/// SHA-256 over roles and texts, with lengths between, so that no two requests run together, and over what a row sets for itself.
fn hash(request: &Request) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for message in &request.messages {
        context.update(message.role.name().as_bytes());
        context.update(&(message.text.len() as u64).to_be_bytes());
        context.update(message.text.as_bytes());
    }
    if let Some(params) = &request.params {
        context.update(&serde_json::to_vec(params).expect("numbers, texts and JSON values always serialise"));
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
