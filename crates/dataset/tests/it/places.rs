//! Places for objects: a directory, and a bucket of an S3 server in this process.

use bytes::Bytes;
use dataset::stores::{Location, Stores, StoresConfig};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A store that is removed at the end of the test.
pub struct Place {
    pub directory: TempDir,
    pub stores: Stores,
    prefix: String,
    server: Option<JoinHandle<()>>,
}

const BUCKET: &str = "data";

impl Place {
    pub fn file() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("a path");
        let prefix = format!("file://{}", root.display());
        let stores = Stores::new(StoresConfig { file_root: Some(root), ..StoresConfig::default() }).expect("stores");
        Self { directory, stores, prefix, server: None }
    }

    /// Has to run inside of a runtime with several threads or give way to it.
    pub async fn s3() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join(BUCKET)).expect("a bucket");
        let files = s3s_fs::FileSystem::new(directory.path()).expect("a store");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    // A client that goes away is no fault of the server.
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        let s3_options = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("HOME", "/"),
        ];
        let s3_options = s3_options.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let stores = Stores::new(StoresConfig { file_root: None, s3_options }).expect("stores");
        Self { directory, stores, prefix: format!("s3://{BUCKET}"), server: Some(server) }
    }

    pub fn uri(&self, path: &str) -> String {
        format!("{}/{path}", self.prefix)
    }

    pub fn at(&self, path: &str) -> Location {
        self.stores.open(&self.uri(path).parse().expect("a URI"), None).expect("a place")
    }

    /// A place with an object.
    pub fn with(&self, path: &str, bytes: Bytes) -> Location {
        self.put(path, bytes);
        self.at(path)
    }

    /// Writes behind the store's back.
    pub fn put(&self, path: &str, bytes: Bytes) {
        std::fs::write(self.on_disk(path), bytes).expect("written");
    }

    pub fn on_disk(&self, path: &str) -> std::path::PathBuf {
        match self.server {
            None => self.directory.path().join(path),
            Some(_) => self.directory.path().join(BUCKET).join(path),
        }
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.on_disk(path)).expect("an object")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// An example file of the repository.
pub fn example(name: &str) -> Bytes {
    let path = format!("{}/../../examples/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("an example").into()
}
