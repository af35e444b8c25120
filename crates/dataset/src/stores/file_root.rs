//! `file://`, below one directory.

use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use domain::storage_uri::StorageUri;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

use super::StoreError;

#[derive(Debug, Clone)]
pub(super) struct FileRoot {
    /// As configured, which is how callers write it.
    configured: PathBuf,
    /// Without symbolic links.
    real: PathBuf,
    store: Arc<dyn ObjectStore>,
}

impl FileRoot {
    pub(super) fn new(root: &FilePath) -> Result<Self, StoreError> {
        let uri = format!("file://{}", root.display());
        let real = root.canonicalize().map_err(|_| StoreError::NotFound { uri: uri.clone() })?;
        let store = LocalFileSystem::new_with_prefix(&real).map_err(|error| StoreError::new(uri, error))?;
        // What is written here is referenced from the database right after, which syncs too.
        Ok(Self { configured: root.into(), real, store: Arc::new(store.with_fsync(true)) })
    }

    pub(super) fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// The path in the store. Refuses what lies elsewhere, and symbolic links that lead elsewhere.
    pub(super) fn resolve(&self, uri: &StorageUri) -> Result<Path, StoreError> {
        let outside = || StoreError::OutsideRoot { uri: uri.to_string() };
        let path = PathBuf::from(format!("/{}", uri.key()));
        let relative =
            path.strip_prefix(&self.configured).or_else(|_| path.strip_prefix(&self.real)).map_err(|_| outside())?;
        let real = real_path(&self.real.join(relative)).map_err(|_| outside())?;
        if !real.starts_with(&self.real) {
            return Err(outside());
        }
        let usable = relative.to_str().filter(|relative| !is_reserved(relative));
        usable
            .and_then(|relative| Path::parse(relative).ok())
            .ok_or_else(|| StoreError::InvalidPath { uri: uri.to_string() })
    }
}

/// The store keeps names that end in `#` and digits for files that are being written.
fn is_reserved(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let suffix = name.split_once('#').map_or("", |(_, suffix)| suffix);
    !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit())
}

/// The path without symbolic links, as far as it exists. A dangling link is an error.
fn real_path(path: &FilePath) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(error);
            };
            Ok(real_path(parent)?.join(name))
        }
        Err(error) => Err(error),
    }
}
