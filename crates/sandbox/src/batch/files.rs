//! Files of the providers' file APIs, kept in a temporary directory.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use super::ids::{Ids, Token};
use super::wire::Wire;

/// All files.
pub(crate) struct Files {
    directory: Mutex<Directory>,
    kept: Mutex<HashMap<String, Arc<StoredFile>>>,
}

/// Where files are.
enum Directory {
    /// Made for the first file, so that a sandbox without files needs no disk.
    NotMade,
    Made(TempDir),
    Removed,
}

/// A file; gone from the disk when nobody holds it.
#[derive(Debug)]
pub(crate) struct StoredFile {
    pub id: String,
    /// Greater than those of all files before.
    pub number: u64,
    pub family: &'static str,
    pub name: String,
    pub purpose: String,
    pub bytes: u64,
    pub lines: Option<u64>,
    pub created_ms: u64,
    /// When it is forgotten, as it is said to clients; the sandbox keeps it.
    pub expires_ms: Option<u64>,
    content: OnDisk,
}

/// What is said of a file when it is kept.
pub(crate) struct Label {
    pub name: String,
    pub purpose: String,
    pub bytes: u64,
    pub lines: Option<u64>,
    pub created_ms: u64,
    pub expires_ms: Option<u64>,
}

/// A path whose file is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct OnDisk(PathBuf);

impl OnDisk {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        // It may not exist yet, and the directory goes in the end.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl StoredFile {
    pub fn path(&self) -> &Path {
        self.content.path()
    }
}

impl Files {
    pub fn new() -> Self {
        Self { directory: Mutex::new(Directory::NotMade), kept: Mutex::default() }
    }

    /// A place for a new file's content, below `parent` or where the system makes temporary files.
    pub fn draft(&self, ids: &Ids, parent: Option<&Path>) -> io::Result<(Token, OnDisk)> {
        let mut directory = self.directory();
        if let Directory::NotMade = *directory {
            let made = parent.map_or_else(tempfile::tempdir, tempfile::tempdir_in)?;
            *directory = Directory::Made(made);
        }
        let Directory::Made(directory) = &*directory else {
            return Err(io::Error::other("the sandbox is stopping"));
        };
        let token = ids.next();
        Ok((token, OnDisk(directory.path().join(token.number.to_string()))))
    }

    /// Removes the directory with all that is in it.
    pub fn close(&self) {
        *self.directory() = Directory::Removed;
    }

    /// Keeps a draft whose content is whole.
    pub fn keep(&self, wire: &dyn Wire, (token, content): (Token, OnDisk), label: Label) -> Arc<StoredFile> {
        let Label { name, purpose, bytes, lines, created_ms, expires_ms } = label;
        let file = Arc::new(StoredFile {
            id: wire.file_id(token),
            number: token.number,
            family: wire.family(),
            name,
            purpose,
            bytes,
            lines,
            created_ms,
            expires_ms,
            content,
        });
        self.kept().insert(file.id.clone(), Arc::clone(&file));
        file
    }

    pub fn get(&self, family: &str, id: &str) -> Option<Arc<StoredFile>> {
        self.kept().get(id).filter(|file| file.family == family).map(Arc::clone)
    }

    /// Oldest first.
    pub fn list(&self, family: &str) -> Vec<Arc<StoredFile>> {
        let mut files: Vec<_> = self.kept().values().filter(|file| file.family == family).map(Arc::clone).collect();
        files.sort_unstable_by_key(|file| file.number);
        files
    }

    /// The file that was there.
    pub fn delete(&self, family: &str, id: &str) -> Option<Arc<StoredFile>> {
        let mut kept = self.kept();
        kept.get(id).filter(|file| file.family == family)?;
        kept.remove(id)
    }

    pub fn count(&self) -> u64 {
        self.kept().len() as u64
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Arc<StoredFile>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
