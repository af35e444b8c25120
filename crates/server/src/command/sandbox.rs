//! `gristmill sandbox`

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::say;
use crate::config::Log;
use crate::{shutdown, telemetry};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Append a line for every request to this file
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Milliseconds that an answer takes
    #[arg(long, value_name = "MS")]
    latency_ms: Option<u64>,
    /// Pad answers to this many bytes
    #[arg(long, value_name = "BYTES")]
    answer_bytes: Option<usize>,
    /// JSON file with limits, faults and the rest; flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    telemetry::start(&Log::default())?;
    let mut config = match &arguments.config {
        Some(file) => {
            let text = std::fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
            serde_json::from_slice(&text).with_context(|| format!("{} is no sandbox configuration", file.display()))?
        }
        None => sandbox::Config::default(),
    };
    config.latency_ms = arguments.latency_ms.unwrap_or(config.latency_ms);
    config.answer_bytes = arguments.answer_bytes.or(config.answer_bytes);
    config.log = arguments.log.or(config.log);
    let stop = shutdown::on_signal()?;
    let listener =
        TcpListener::bind(arguments.listen).await.with_context(|| format!("can't listen on {}", arguments.listen))?;
    say(&format!("http://{}", listener.local_addr()?));
    Ok(sandbox::serve(listener, config, stop.cancelled_owned()).await?)
}
