//! A result file as it arrives.

use std::path::Path;

use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

/// A file on this machine's disk that a download goes into, and goes on in after it was cut off.
#[derive(Debug)]
pub struct Download {
    file: File,
    bytes: u64,
    max_bytes: u64,
}

/// Why no more can be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownloadError {
    #[error("the file is longer than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("could not write the file: {0}")]
    Disk(#[from] std::io::Error),
}

impl Download {
    /// An empty file at `path` that takes up to `max_bytes`.
    ///
    /// # Errors
    /// The disk's.
    pub async fn create(path: &Path, max_bytes: u64) -> std::io::Result<Self> {
        Ok(Self { file: File::create(path).await?, bytes: 0, max_bytes })
    }

    /// What has arrived so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) async fn append(&mut self, piece: &[u8]) -> Result<(), DownloadError> {
        let length = self.bytes + piece.len() as u64;
        if length > self.max_bytes {
            return Err(DownloadError::TooLarge { limit: self.max_bytes });
        }
        self.file.write_all(piece).await?;
        self.bytes = length;
        Ok(())
    }

    /// Makes what has arrived visible to readers of the path.
    ///
    /// # Errors
    /// The disk's.
    pub async fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush().await
    }
}
