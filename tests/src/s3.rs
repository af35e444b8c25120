//! An S3 server as a process of its own, with one bucket.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ClientOptions, ObjectStoreExt as _};
use tempfile::TempDir;

const ACCESS_KEY: &str = "AKIATESTTESTTESTTEST";
const SECRET_KEY: &str = "a-secret-that-guards-nothing";

/// A running server, killed when dropped; its objects go with it.
pub struct S3Server {
    pub url: String,
    client: AmazonS3,
    process: Child,
    _directory: TempDir,
}

impl S3Server {
    /// The one bucket.
    pub const BUCKET: &str = "tables";

    pub fn start() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("gristmill-s3-").tempdir()?;
        let objects = directory.path().join("objects");
        std::fs::create_dir_all(objects.join(Self::BUCKET))?;
        let program = crate::process::binary()?.with_file_name("s3-server");
        let mut process = Command::new(&program)
            .arg(&objects)
            .args([ACCESS_KEY, SECRET_KEY])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} can't be started", program.display()))?;
        let stdout = process.stdout.take().context("its standard output")?;
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url)?;
        let url = url.trim_end().to_owned();
        let client = AmazonS3Builder::new()
            .with_endpoint(&url)
            .with_region("us-east-1")
            .with_bucket_name(Self::BUCKET)
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY)
            .with_client_options(ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(20)))
            .build()?;
        Ok(Self { url, client, process, _directory: directory })
    }

    /// The usual variables, for the service's environment.
    pub fn settings(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.url.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// The key pair as a grant's credential has it.
    pub fn credential() -> serde_json::Value {
        serde_json::json!({"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY})
    }

    pub fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", Self::BUCKET)
    }

    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        self.client.put(&key.into(), bytes.into()).await?;
        Ok(())
    }

    pub async fn get(&self, key: &str) -> anyhow::Result<Bytes> {
        Ok(self.client.get(&key.into()).await?.bytes().await?)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
