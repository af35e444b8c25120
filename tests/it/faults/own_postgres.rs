//! A Postgres of the test's own, which it may kill.

use private_postgres::{Options, PrivatePostgres};
use tempfile::TempDir;

pub struct OwnPostgres {
    pub server: PrivatePostgres,
    /// Goes after the server.
    _directory: TempDir,
}

impl OwnPostgres {
    /// Migrated.
    pub async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("gristmill-postgres-").tempdir()?;
        let options = Options { durable: false, ..Options::new(directory.path().join("cluster")) };
        let server = tokio::task::spawn_blocking(move || PrivatePostgres::start(options)).await??;
        let own = Self { server, _directory: directory };
        let database = db::Database::open(&own.url(), db::Options::default())?;
        database.migrate().await?;
        database.close().await;
        Ok(own)
    }

    pub fn url(&self) -> String {
        self.server.url("postgres")
    }

    pub fn kill9(&mut self) -> anyhow::Result<()> {
        Ok(tokio::task::block_in_place(|| self.server.kill9())?)
    }

    pub fn restart(&mut self) -> anyhow::Result<()> {
        Ok(tokio::task::block_in_place(|| self.server.restart())?)
    }
}
