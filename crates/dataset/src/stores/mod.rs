//! From a storage URI to a place that can be read and written.

mod error;
mod file_root;
mod s3;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::storage_uri::{Scheme, StorageUri};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::signer::{Method, Signer};
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

pub use self::error::StoreError;
use self::file_root::FileRoot;
use self::s3::S3Clients;
pub use self::s3::StoreCredential;

/// What the operator allows.
#[derive(Debug, Clone, Default)]
pub struct StoresConfig {
    /// `file://` URIs must lie below this directory. `None` refuses them all.
    pub file_root: Option<PathBuf>,
    /// Options for S3 by the names of the usual environment variables (`AWS_REGION`, `AWS_ENDPOINT_URL`, …).
    /// Names that are not known are ignored, so a whole environment may be given.
    pub s3_options: Vec<(String, String)>,
}

/// Every store that this process can reach. Cheap to clone; clients are shared.
#[derive(Debug, Clone)]
pub struct Stores {
    file_root: Option<FileRoot>,
    s3: Arc<S3Clients>,
}

impl Stores {
    /// # Errors
    /// If the file root isn't a directory.
    pub fn new(config: StoresConfig) -> Result<Self, StoreError> {
        let file_root = config.file_root.as_deref().map(FileRoot::new).transpose()?;
        Ok(Self { file_root, s3: Arc::new(S3Clients::new(config.s3_options)) })
    }

    /// The place that a URI names. Nothing is read, so it need not exist.
    ///
    /// # Errors
    /// `scheme_not_supported`, `storage_location_not_allowed` (outside of the root), `invalid_storage_credential`.
    pub fn open(&self, uri: &StorageUri, credential: Option<&StoreCredential>) -> Result<Location, StoreError> {
        match uri.scheme() {
            Scheme::File => {
                let root = self.file_root.as_ref().ok_or(StoreError::SchemeNotSupported { scheme: "file" })?;
                let path = root.resolve(uri)?;
                Ok(Location { store: root.store(), signer: None, path, uri: uri.clone() })
            }
            Scheme::S3 => {
                let client = self.s3.client(uri.bucket(), credential)?;
                let path = Path::parse(uri.key()).map_err(|_| StoreError::InvalidPath { uri: uri.to_string() })?;
                Ok(Location { store: client.clone(), signer: Some(client), path, uri: uri.clone() })
            }
        }
    }
}

/// One object's place in a store.
#[derive(Debug, Clone)]
pub struct Location {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) signer: Option<Arc<dyn Signer>>,
    pub(crate) path: Path,
    pub(crate) uri: StorageUri,
}

impl Location {
    pub fn uri(&self) -> &StorageUri {
        &self.uri
    }

    /// Whether an object is there now.
    pub async fn exists(&self) -> Result<bool, StoreError> {
        match self.store.head(&self.path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.error(error)),
        }
    }

    /// A URL that reads the object without further credentials for `ttl`. `None` where the store can't sign.
    pub async fn sign_get(&self, ttl: Duration) -> Result<Option<Url>, StoreError> {
        match &self.signer {
            None => Ok(None),
            Some(signer) => {
                let url = signer.signed_url(Method::GET, &self.path, ttl).await;
                url.map(Some).map_err(|error| self.error(error))
            }
        }
    }

    /// The object's size and bytes, for download where the store can't sign.
    pub async fn stream(&self) -> Result<(u64, BoxStream<'static, Result<bytes::Bytes, StoreError>>), StoreError> {
        let result = self.store.get(&self.path).await.map_err(|error| self.error(error))?;
        let bytes = result.meta.size;
        let location = self.clone();
        Ok((bytes, result.into_stream().map_err(move |error| location.error(error)).boxed()))
    }

    pub(crate) fn error(&self, error: object_store::Error) -> StoreError {
        StoreError::new(self.uri.to_string(), error)
    }
}
