//! Writing an object that appears whole or not at all.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures::StreamExt;
use object_store::{ObjectStoreExt, PutMode, PutPayload, PutPayloadMut, WriteMultipart};

use super::IfExists;
use crate::stores::{Location, StoreError};

/// Size of an uploaded piece. S3 takes at most 10,000 pieces of at least 5 MiB, so an output may have 160 GB.
const PIECE_BYTES: usize = 16 << 20;

/// Pieces on their way at once; as much memory is held besides the piece that is being filled.
const PIECES_AT_ONCE: usize = 2;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
}

/// Collects an object's bytes. What is dropped before [`Upload::finish`] leaves nothing visible.
pub(super) struct Upload {
    target: Location,
    if_exists: IfExists,
    hash: Context,
    bytes: u64,
    /// As long as everything fits in one piece, nothing is sent.
    held: PutPayloadMut,
    multipart: Option<WriteMultipart>,
}

impl Upload {
    pub(super) fn new(target: &Location, if_exists: IfExists) -> Self {
        let hash = Context::new(&SHA256);
        Self { target: target.clone(), if_exists, hash, bytes: 0, held: PutPayloadMut::new(), multipart: None }
    }

    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.hash.update(&bytes);
        self.bytes += bytes.len() as u64;
        match &mut self.multipart {
            Some(multipart) => multipart.put(bytes),
            None => self.held.push(bytes),
        }
        if self.multipart.is_none() && self.held.content_length() > PIECE_BYTES {
            let upload =
                self.target.store.put_multipart(&self.target.path).await.map_err(|error| self.target.error(error))?;
            let mut multipart = WriteMultipart::new_with_chunk_size(upload, PIECE_BYTES);
            for bytes in PutPayload::from(std::mem::take(&mut self.held)) {
                multipart.put(bytes);
            }
            self.multipart = Some(multipart);
        }
        if let Some(multipart) = &mut self.multipart {
            multipart.wait_for_capacity(PIECES_AT_ONCE).await.map_err(|error| self.target.error(error))?;
        }
        Ok(())
    }

    /// Gives up; frees what the store holds of it.
    pub(super) async fn abort(self) {
        if let Some(multipart) = self.multipart {
            // Why the output fails is known already; a store frees abandoned uploads by its own rules.
            let _ = multipart.abort().await;
        }
    }

    /// Makes the object visible.
    ///
    /// An output that exists already with the same bytes is taken as written: an earlier try may have ended right
    /// after this.
    pub(super) async fn finish(mut self) -> Result<Written, StoreError> {
        let digest = std::mem::replace(&mut self.hash, Context::new(&SHA256)).finish();
        let sha256 = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let written = Written { bytes: self.bytes, sha256 };
        match self.publish().await {
            Err(StoreError::AlreadyExists { .. }) if holds(&self.target, &written).await? => Ok(written),
            Err(error) => Err(error),
            Ok(()) => Ok(written),
        }
    }

    async fn publish(&mut self) -> Result<(), StoreError> {
        let target = &self.target;
        match self.multipart.take() {
            None => {
                let mode = match self.if_exists {
                    IfExists::Error => PutMode::Create,
                    IfExists::Replace => PutMode::Overwrite,
                };
                let payload = std::mem::take(&mut self.held).into();
                target.store.put_opts(&target.path, payload, mode.into()).await.map_err(|error| target.error(error))?;
            }
            Some(multipart) => {
                // Completing a multipart upload can't be made conditional through this interface, so what is left is a
                // moment between this look and the completion.
                if self.if_exists == IfExists::Error && target.exists().await? {
                    multipart.abort().await.map_err(|error| target.error(error))?;
                    return Err(StoreError::AlreadyExists { uri: target.uri().to_string() });
                }
                multipart.finish().await.map_err(|error| target.error(error))?;
            }
        }
        Ok(())
    }
}

/// Whether the target has exactly these bytes.
async fn holds(target: &Location, written: &Written) -> Result<bool, StoreError> {
    let (bytes, mut stream) = target.stream().await?;
    if bytes != written.bytes {
        return Ok(false);
    }
    let mut hash = Context::new(&SHA256);
    while let Some(piece) = stream.next().await {
        hash.update(&piece?);
    }
    Ok(hash.finish().as_ref() == written.sha256)
}
