//! `gristmill serve`

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::ConfigFile;
use crate::services::{Services, ensure_migrated};
use crate::shutdown;

/// Where the API listens unless it is told.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8787);

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Address to listen on [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Work on jobs in the same process, as suits a single machine
    #[arg(long)]
    with_worker: bool,
    #[command(flatten)]
    config: ConfigFile,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = arguments.config.load()?;
    let address = arguments.listen.or(config.listen).unwrap_or(DEFAULT_LISTEN);
    let services = Services::open(config).await?;
    ensure_migrated(&services.db).await?;
    let stop = shutdown::on_signal()?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}"))?;
    tracing::info!("the API listens on http://{}", listener.local_addr()?);
    let api = services.serve_api(listener, stop.clone());
    if arguments.with_worker { tokio::try_join!(api, services.run_worker(stop)).map(drop) } else { api.await }
}
