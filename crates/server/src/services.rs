//! Builds every dependency from the configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use dataset::stores::{Stores, StoresConfig};
use dataset::work::WorkSpace;
use db::{Database, MasterKey};
use providers::client::{HttpClient, HttpOptions};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::defaults::{self, Added};
use crate::{environment, metrics};

/// What open requests get to end after a stop, so that a stalled download can't hold the process.
const DRAIN: Duration = Duration::from_secs(15);

/// What both the API and the workers stand on.
#[derive(Debug, Clone)]
pub struct Services {
    pub db: Database,
    pub stores: Stores,
    pub work: WorkSpace,
    pub master_key: Arc<MasterKey>,
    metrics: pipeline::Metrics,
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

/// Brings the schema up to date, and adds the records that come with the binary.
pub async fn migrate(db: &Database) -> anyhow::Result<Added> {
    db.migrate().await.context("the schema could not be brought up to date")?;
    defaults::offer(db).await.context("the default records could not be added")
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
        Ok(Self { db, stores, work, master_key: Arc::new(master_key), metrics: pipeline::Metrics::default(), config })
    }

    /// Serves the API until `stop` is cancelled and the requests under way are answered, or 15 s have passed since.
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
        serve(listener, api::router(app).merge(self.metrics_route()), stop, DRAIN).await
    }

    /// `/metrics` alone.
    pub fn metrics_route(&self) -> Router {
        metrics::route(self.db.clone(), self.metrics.clone())
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
            metrics: self.metrics.clone(),
            answers: pipeline::AnswerMemory::default(),
            options: self.config.pipeline(),
        })
    }
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, drain: Duration) -> anyhow::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        ended = server.into_future() => Ok(ended?),
        () = patience => {
            tracing::warn!("open requests are cut off, {} s after the stop", drain.as_secs());
            Ok(())
        }
    }
}

/// The clock of the process.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock and hands it on")]
pub fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;

    use super::*;

    /// Against hanging.
    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_request_that_never_ends_does_not_hold_a_stop() {
        let stop = CancellationToken::new();
        let arrived = stop.clone();
        let stalled = get(async move || {
            arrived.cancel();
            std::future::pending::<()>().await;
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut caller = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("a request");
        let served = serve(listener, Router::new().route("/", stalled), stop, Duration::from_millis(10));
        tokio::time::timeout(LONG, served).await.expect("an end").expect("served");
    }
}
