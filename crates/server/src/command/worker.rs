//! `gristmill worker`

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::ConfigFile;
use crate::services::{Services, ensure_migrated};
use crate::{health, shutdown};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Address for /healthz, /readyz and /metrics [default: none]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    config: ConfigFile,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = arguments.config.load()?;
    let address = arguments.listen.or(config.worker.listen);
    let services = Services::open(config).await?;
    ensure_migrated(&services.db).await?;
    let stop = shutdown::on_signal()?;
    let worker = services.run_worker(stop.clone());
    match address {
        Some(address) => {
            let listener = TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}"))?;
            tokio::try_join!(worker, health::serve(services.db.clone(), services.metrics_route(), listener, stop))
                .map(drop)
        }
        None => worker.await,
    }
}
