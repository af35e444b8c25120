//! The whole stack in one process, for `dev` and `quickstart`: private Postgres, API, worker, sandbox, local files.

pub mod admin_key;
mod provision;
mod state;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use private_postgres::PrivatePostgres;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::provision::Access;
use self::state::StateDir;
use crate::config::Config;
use crate::services::{Services, migrate};

/// A running stack.
pub struct Stack {
    pub url: String,
    pub access: Access,
    /// `file://` URIs may lie below it.
    pub work_dir: PathBuf,
    pub sandbox_url: String,
    stop: CancellationToken,
    tasks: TaskTracker,
    postgres: Option<PrivatePostgres>,
}

impl Stack {
    /// Starts everything, with its state in `directory`. Without a configured database, a private one is run.
    pub async fn start(
        directory: &Path,
        listen: SocketAddr,
        mut config: Config,
        sandbox: sandbox::Config,
    ) -> anyhow::Result<Self> {
        // First what fails at once.
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!(
                "can't listen on {listen}: something else does, or an earlier `gristmill dev` still runs (try --listen)"
            )
        })?;
        let state = StateDir::open(directory)?;
        let postgres = match &config.database_url {
            Some(_) => None,
            None => Some(start_postgres(state.postgres()).await?),
        };
        if let Some(postgres) = &postgres {
            config.database_url = Some(SecretString::from(postgres.url("postgres")));
        }
        config.egress.allow_private = true;
        config.storage.file_root = Some(state.objects().to_owned());
        config.work_uri.get_or_insert_with(|| format!("file://{}", state.work().display()));
        if config.master_key.is_none() {
            config.master_key = Some(state.master_key()?);
        }
        let services = Services::open(config).await?;
        migrate(&services.db).await.context("the database can't be used; another --dir starts afresh")?;

        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let sandbox_listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let sandbox_url = format!("http://{}/v1", sandbox_listener.local_addr()?);
        let sandbox = sandbox::serve(sandbox_listener, sandbox, stop.clone().cancelled_owned());
        spawn(&tasks, &stop, "sandbox", async move { Ok(sandbox.await?) });
        let url = format!("http://{}", listener.local_addr()?);
        let (api, api_stop) = (services.clone(), stop.clone());
        spawn(&tasks, &stop, "API", async move { api.serve_api(listener, api_stop).await });
        let access = provision::provision(&services.db, &state, &url, &sandbox_url).await?;
        // Not earlier: jobs of an earlier run would call the sandbox where it was then.
        let worker_stop = stop.clone();
        spawn(&tasks, &stop, "worker", async move { services.run_worker(worker_stop).await });
        tasks.close();

        let work_dir = state.objects().to_owned();
        Ok(Self { url, access, work_dir, sandbox_url, stop, tasks, postgres })
    }

    /// Resolves when a part of it has ended by itself.
    pub async fn ended(&self) {
        self.stop.cancelled().await;
    }

    /// Stops everything, Postgres last.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.tasks.wait().await;
        if let Some(mut postgres) = self.postgres.take() {
            tokio::task::spawn_blocking(move || postgres.stop()).await??;
        }
        Ok(())
    }
}

async fn start_postgres(directory: PathBuf) -> anyhow::Result<PrivatePostgres> {
    let options = private_postgres::Options::new(directory);
    Ok(tokio::task::spawn_blocking(move || PrivatePostgres::start(options)).await??)
}

/// Runs a part; if it ends, the others are stopped too.
fn spawn(
    tasks: &TaskTracker,
    stop: &CancellationToken,
    name: &'static str,
    part: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) {
    let stop = stop.clone();
    tasks.spawn(async move {
        if let Err(error) = part.await {
            tracing::error!("the {name} ended: {error:#}");
        }
        stop.cancel();
    });
}
