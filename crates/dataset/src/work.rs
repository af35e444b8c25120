//! A job's own files, below the work prefix.

use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use domain::format::Format;
use domain::ids::{DispatchId, JobId, TenantId};
use domain::storage_uri::{Scheme, StoragePrefix};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::stores::{Location, StoreError, Stores};

/// Where all jobs keep their files: `{work}/{tenant}/{job}/…`. The operator chooses it, so the file root doesn't
/// bind it.
#[derive(Debug, Clone)]
pub struct WorkSpace {
    store: Arc<dyn ObjectStore>,
    signer: Option<Arc<dyn Signer>>,
    prefix: Path,
    uri: StoragePrefix,
}

impl WorkSpace {
    /// Makes the directory where the prefix is a local one.
    pub fn open(stores: &Stores, prefix: &StoragePrefix) -> Result<Self, StoreError> {
        let invalid = || StoreError::InvalidPath { uri: prefix.to_string() };
        match prefix.scheme() {
            Scheme::File => {
                let directory = format!("/{}", prefix.key());
                let store = local_store(FilePath::new(&directory))
                    .map_err(|error| StoreError::new(prefix.to_string(), error))?;
                Ok(Self { store: Arc::new(store), signer: None, prefix: Path::default(), uri: prefix.clone() })
            }
            Scheme::S3 => {
                // Any object below the prefix names its store.
                let location = stores.open(&prefix.object("x").map_err(|_| invalid())?, None)?;
                let path = Path::parse(prefix.key()).map_err(|_| invalid())?;
                Ok(Self { store: location.store, signer: location.signer, prefix: path, uri: prefix.clone() })
            }
        }
    }

    pub fn job(&self, tenant: TenantId, job: JobId) -> JobFiles {
        let directory = self.prefix.clone().join(tenant.to_string()).join(job.to_string());
        let uri = format!("{}/{tenant}/{job}", self.uri.to_string().trim_end_matches('/'));
        JobFiles { store: self.store.clone(), signer: self.signer.clone(), directory, uri }
    }
}

fn local_store(directory: &FilePath) -> object_store::Result<LocalFileSystem> {
    std::fs::create_dir_all(directory)
        .map_err(|source| object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(source) })?;
    Ok(LocalFileSystem::new_with_prefix(directory)?.with_fsync(true))
}

/// A file that a job keeps. Those written under a lease carry its epoch, so that a stale writer can't replace a good
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkFile {
    /// Written by [`crate::chunk::encode`].
    ChunkInput { chunk: u32, epoch: u64 },
    /// Written by [`crate::results::encode`].
    ChunkResults { chunk: u32, generation: u32, writer: Writer },
    /// Written by [`crate::attempts::encode`].
    ChunkAttempts { chunk: u32, generation: u32, writer: Writer },
    /// What a provider batch brought for a chunk; written by [`crate::results::encode`], and of no use once the chunk is sealed.
    BatchResults { dispatch: DispatchId, chunk: u32, epoch: u64 },
    /// Written by [`crate::output::encode_part`].
    Part { generation: u32, chunk: u32, writer: Writer, format: Format },
}

/// Whose lease a file is written under. It is part of the name, so that no other holder's try can replace a good file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Writer {
    Step { epoch: u64 },
    Dispatch { id: DispatchId, epoch: u64 },
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step { epoch } => write!(f, "e{epoch}"),
            Self::Dispatch { id, epoch } => write!(f, "{id}-e{epoch}"),
        }
    }
}

/// The path below the job's directory.
impl fmt::Display for WorkFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChunkInput { chunk, epoch } => write!(f, "chunks/{chunk}/input-e{epoch}.parquet"),
            Self::ChunkResults { chunk, generation, writer } => {
                write!(f, "chunks/{chunk}/results-g{generation}-{writer}.parquet")
            }
            Self::ChunkAttempts { chunk, generation, writer } => {
                write!(f, "chunks/{chunk}/attempts-g{generation}-{writer}.parquet")
            }
            Self::BatchResults { dispatch, chunk, epoch } => {
                write!(f, "dispatches/{dispatch}/results-{chunk}-e{epoch}.parquet")
            }
            Self::Part { generation, chunk, writer, format } => {
                write!(f, "parts/{generation}/{chunk}-{writer}.{}", format.extension())
            }
        }
    }
}

/// One job's files.
#[derive(Debug, Clone)]
pub struct JobFiles {
    store: Arc<dyn ObjectStore>,
    signer: Option<Arc<dyn Signer>>,
    directory: Path,
    uri: String,
}

impl JobFiles {
    /// Writes the file at once or not at all, over what was there: it can only be the same writer's earlier try.
    pub async fn put(&self, file: WorkFile, bytes: Bytes) -> Result<(), StoreError> {
        let result = self.store.put(&self.path(file), bytes.into()).await;
        result.map(drop).map_err(|error| self.error(file, error))
    }

    pub async fn get(&self, file: WorkFile) -> Result<Bytes, StoreError> {
        let result = async { self.store.get(&self.path(file)).await?.bytes().await };
        result.await.map_err(|error| self.error(file, error))
    }

    /// Reads a file by its path, as [`WorkFile`] displays it.
    pub async fn read(&self, path: &str) -> Result<Bytes, StoreError> {
        let result = async { self.store.get(&self.below(path)).await?.bytes().await };
        result.await.map_err(|error| StoreError::new(format!("{}/{path}", self.uri), error))
    }

    /// Where the output of a job lies that names no place for it.
    pub fn output(&self, format: Format) -> Location {
        let name = format!("output.{}", format.extension());
        let uri = format!("{}/{name}", self.uri).parse().expect("plain segments below a prefix that was parsed");
        Location { store: self.store.clone(), signer: self.signer.clone(), path: self.below(&name), uri }
    }

    /// It is no error if the file isn't there.
    pub async fn delete(&self, file: WorkFile) -> Result<(), StoreError> {
        match self.store.delete(&self.path(file)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(file, error)),
        }
    }

    /// Removes a file by its path. It is no error if it isn't there.
    pub async fn remove(&self, path: &str) -> Result<(), StoreError> {
        match self.store.delete(&self.below(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(StoreError::new(format!("{}/{path}", self.uri), error)),
        }
    }

    fn path(&self, file: WorkFile) -> Path {
        self.below(&file.to_string())
    }

    fn below(&self, path: &str) -> Path {
        path.split('/').fold(self.directory.clone(), Path::join)
    }

    fn error(&self, file: WorkFile, error: object_store::Error) -> StoreError {
        StoreError::new(format!("{}/{file}", self.uri), error)
    }
}
