//! Builds every dependency from the configuration.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use dataset::stores::{Stores, StoresConfig};
use dataset::work::WorkSpace;
use db::{Database, MasterKey};
use providers::client::{HttpClient, HttpOptions};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::environment;

/// What both the API and the workers stand on.
#[derive(Debug, Clone)]
pub struct Services {
    pub db: Database,
    pub stores: Stores,
    pub work: WorkSpace,
    pub master_key: Arc<MasterKey>,
    config: Config,
}

/// The database alone.
///
/// # Errors
/// No URL is configured, or a malformed one.
pub fn database(config: &Config) -> anyhow::Result<Database> {
    let Some(url) = &config.database_url else {
        bail!("no database is configured: set GRISTMILL_DATABASE_URL (or try `gristmill dev`, which brings its own)");
    };
    let options = db::Options { max_connections: config.database.max_connections, ..db::Options::default() };
    Database::open(url.expose_secret(), options).context("GRISTMILL_DATABASE_URL is malformed")
}

/// Looks into the database before anything relies on it.
///
/// # Errors
/// It has no schema, or can't be reached.
pub async fn ensure_migrated(db: &Database) -> anyhow::Result<()> {
    let context = "the database can't be used; if it is a new one, run `gristmill migrate` first";
    let mut tx = db.scheduler().await.context(context)?;
    db::api_keys::any_admin(&mut tx).await.map(drop).context(context)
}

impl Services {
    /// # Errors
    /// A setting is missing or malformed, with what to set.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        let db = database(&config)?;
        let Some(master_key) = &config.master_key else {
            bail!("no master key is configured: set GRISTMILL_MASTER_KEY to 32 random bytes in base64");
        };
        let master_key =
            MasterKey::from_base64(master_key.expose_secret()).context("GRISTMILL_MASTER_KEY is malformed")?;
        let Some(work_uri) = &config.work_uri else {
            bail!("no place for work files is configured: set GRISTMILL_WORK_URI, such as s3://bucket/gristmill");
        };
        let stores = Stores::new(StoresConfig {
            file_root: config.storage.file_root.clone(),
            s3_options: environment::variables_starting("AWS_"),
        })?;
        let prefix = work_uri.parse().with_context(|| format!("GRISTMILL_WORK_URI `{work_uri}` is malformed"))?;
        let work = WorkSpace::open(&stores, &prefix).with_context(|| format!("GRISTMILL_WORK_URI `{work_uri}`"))?;
        // Last, because it needs a server and the rest does not.
        if config.database.require_durable {
            db.ensure_durable().await.context("the database that GRISTMILL_DATABASE_URL names can't be used")?;
        }
        Ok(Self { db, stores, work, master_key: Arc::new(master_key), config })
    }

    /// Serves the API until `stop` is cancelled and the requests under way are answered.
    pub async fn serve_api(&self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        let app = api::App {
            db: self.db.clone(),
            stores: self.stores.clone(),
            work: self.work.clone(),
            master_key: self.master_key.clone(),
            clock: Arc::new(now),
            config: api::Config {
                allow_private: self.config.egress.allow_private,
                max_body_bytes: self.config.api.max_body_bytes,
                ..api::Config::default()
            },
        };
        let service = api::router(app).into_make_service_with_connect_info::<SocketAddr>();
        Ok(axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await?)
    }

    /// Works until `stop` is cancelled and what was in hand is handed back.
    pub async fn run_worker(&self, stop: CancellationToken) -> anyhow::Result<()> {
        pipeline::worker::run(self.pipeline_context()?, stop).await;
        Ok(())
    }

    /// What the pipeline's steps need.
    pub fn pipeline_context(&self) -> anyhow::Result<pipeline::Context> {
        let http = HttpClient::new(HttpOptions {
            allow_private: self.config.egress.allow_private,
            max_reply_bytes: self.config.worker.max_reply_bytes,
        })?;
        Ok(pipeline::Context {
            db: self.db.clone(),
            stores: self.stores.clone(),
            work: self.work.clone(),
            master_key: self.master_key.clone(),
            http,
            options: self.config.pipeline(),
        })
    }
}

/// The clock of the process.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock and hands it on")]
pub fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}
