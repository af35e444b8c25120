//! What can go wrong with a store.

use std::error::Error;
use std::io;

/// Storage failed. `Display` names the object; the cause is the source.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("storage of the kind `{scheme}` is not configured here")]
    SchemeNotSupported { scheme: &'static str },
    #[error("`{uri}` is not a usable object path")]
    InvalidPath { uri: String },
    #[error("`{uri}` lies outside of the configured root")]
    OutsideRoot { uri: String },
    #[error("the storage credential can't be used: {reason}")]
    InvalidCredential { reason: String },
    #[error("there is nothing at `{uri}`")]
    NotFound { uri: String },
    #[error("access to `{uri}` was denied")]
    AccessDenied { uri: String, source: Box<object_store::Error> },
    #[error("`{uri}` exists already")]
    AlreadyExists { uri: String },
    #[error("`{uri}` is not the version that was pinned")]
    Changed { uri: String },
    #[error("the storage of `{uri}` is full")]
    Full { uri: String, source: Box<object_store::Error> },
    #[error("storage failed at `{uri}`")]
    Unavailable { uri: String, source: Box<object_store::Error> },
}

impl StoreError {
    pub(crate) fn new(uri: String, error: object_store::Error) -> Self {
        use object_store::Error as E;
        match &error {
            E::NotFound { .. } => return Self::NotFound { uri },
            E::AlreadyExists { .. } => return Self::AlreadyExists { uri },
            E::Precondition { .. } | E::NotModified { .. } => return Self::Changed { uri },
            E::InvalidPath { .. } => return Self::InvalidPath { uri },
            _ => {}
        }
        let denied = matches!(error, E::PermissionDenied { .. } | E::Unauthenticated { .. });
        let io = io_kind(&error);
        let source = Box::new(error);
        match io {
            Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory) => {
                Self::NotFound { uri }
            }
            Some(io::ErrorKind::InvalidFilename) => Self::InvalidPath { uri },
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => Self::Full { uri, source },
            Some(io::ErrorKind::PermissionDenied) => Self::AccessDenied { uri, source },
            _ if denied => Self::AccessDenied { uri, source },
            _ => Self::Unavailable { uri, source },
        }
    }

    /// The public error code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SchemeNotSupported { .. } => "scheme_not_supported",
            Self::InvalidPath { .. } => "invalid_object_path",
            Self::OutsideRoot { .. } => "storage_location_not_allowed",
            Self::InvalidCredential { .. } => "invalid_storage_credential",
            Self::NotFound { .. } => "object_not_found",
            Self::AccessDenied { .. } => "storage_auth",
            Self::AlreadyExists { .. } => "output_exists",
            Self::Changed { .. } => "input_changed",
            Self::Full { .. } => "storage_full",
            Self::Unavailable { .. } => "storage_unavailable",
        }
    }

    /// Whether the same call may succeed later, with nothing changed by anyone.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// The kind of the first I/O error among an error's causes. Stores wrap local file errors in their generic variant.
fn io_kind(error: &object_store::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}
