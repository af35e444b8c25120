//! One version of an object, and reads that hold to it.

use std::ops::Range;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{self, Stream, StreamExt};
use object_store::{GetOptions, GetRange, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use super::InputError;
use super::limits::{BLOCK_BYTES, BLOCKS_AHEAD};
use crate::stores::Location;

/// The version of an object that a job reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    pub etag: Option<String>,
    pub version: Option<String>,
    pub bytes: u64,
    pub last_modified: DateTime<Utc>,
}

/// Looks the object up and pins what is there now.
///
/// # Errors
/// `input_not_found`, `input_access_denied`, `storage_unavailable`.
pub async fn pin(location: &Location) -> Result<Pinned, InputError> {
    let meta = location.store.head(&location.path).await.map_err(|error| location.error(error))?;
    Ok(Pinned { etag: meta.e_tag, version: meta.version, bytes: meta.size, last_modified: meta.last_modified })
}

/// Exactly these bytes of the pinned version.
pub(super) async fn get(location: &Location, pinned: &Pinned, range: Range<u64>) -> Result<Bytes, InputError> {
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    let expected = range.end - range.start;
    let options =
        GetOptions { if_match: pinned.etag.clone(), range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
    let result = location.store.get_opts(&location.path, options).await.map_err(|error| location.error(error))?;
    // Some stores have no ETags, and some ignore the condition.
    let same = match &pinned.etag {
        Some(etag) => result.meta.e_tag.as_ref() == Some(etag),
        None => result.meta.last_modified == pinned.last_modified,
    };
    let same = same && result.meta.size == pinned.bytes;
    let bytes = result.bytes().await.map_err(|error| location.error(error))?;
    if same && bytes.len() as u64 == expected {
        Ok(bytes)
    } else {
        Err(InputError::Changed { uri: location.uri().to_string() })
    }
}

/// The pinned version's bytes from an offset to the end, read ahead by a bounded amount.
pub(super) fn blocks(
    location: Location,
    pinned: Pinned,
    from: u64,
) -> impl Stream<Item = Result<Bytes, InputError>> + Send {
    let end = pinned.bytes;
    let starts = (0..).map(move |block| from + block * BLOCK_BYTES).take_while(move |start| *start < end);
    stream::iter(starts)
        .map(move |start| {
            let (location, pinned) = (location.clone(), pinned.clone());
            // A task of its own goes on while the blocks before it are parsed.
            let block = tokio::spawn(async move { get(&location, &pinned, start..end.min(start + BLOCK_BYTES)).await });
            async move { block.await.unwrap_or(Err(InputError::ReaderStopped)) }
        })
        .buffered(BLOCKS_AHEAD)
}
