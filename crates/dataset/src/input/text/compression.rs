//! How a text file is compressed: told by its first bytes, never by its name.

use serde::{Deserialize, Serialize};

use crate::input::InputError;

/// The compression around a text file. There is one layer at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

/// First bytes of what can't be read as a stream of text.
const OTHERS: [(&[u8], &str); 3] = [(b"PK\x03\x04", "a zip archive"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz")];

impl Compression {
    /// # Errors
    /// `compression_mismatch` for kinds that are not read.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, InputError> {
        if let Some((_, kind)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Err(mismatch(format!("it is {kind}: use gzip or zstd, or no compression")));
        }
        Ok(match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A frame to be skipped, which some writers put first.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        })
    }

    /// Whether another member of the same file may start with this byte.
    pub(super) fn may_start(self, byte: u8) -> bool {
        match self {
            Self::None => false,
            Self::Gzip => byte == 0x1f,
            Self::Zstd => byte == 0x28 || (0x50..=0x5f).contains(&byte),
        }
    }
}

/// The ending of a name that promises a compressed file.
pub(super) fn promised_by(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    [".gz", ".zst"].into_iter().find(|ending| name.ends_with(ending))
}

pub(super) fn mismatch(problem: impl Into<String>) -> InputError {
    InputError::CompressionMismatch { problem: problem.into() }
}
