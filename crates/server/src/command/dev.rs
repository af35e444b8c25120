//! `gristmill dev`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::serve::DEFAULT_LISTEN;
use super::{ConfigFile, say};
use crate::shutdown;
use crate::stack::Stack;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Address to listen on [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Directory for everything that is kept between runs
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print one line of JSON first: url, api_key, admin_key, tenant_id, work_dir
    #[arg(long)]
    json: bool,
    /// Milliseconds that the sandbox takes to answer
    #[arg(long, value_name = "MS", default_value_t = 20)]
    sandbox_latency_ms: u64,
    /// Append a line for every request that the sandbox gets to this file
    #[arg(long, value_name = "FILE")]
    sandbox_log: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = arguments.config.load()?;
    let listen = arguments.listen.or(config.listen).unwrap_or(DEFAULT_LISTEN);
    let directory = match arguments.dir {
        Some(directory) => directory,
        None => default_directory()?,
    };
    let stop = shutdown::on_signal()?;
    let sandbox = sandbox::Config {
        latency_ms: arguments.sandbox_latency_ms,
        log: arguments.sandbox_log,
        ..sandbox::Config::default()
    };
    let stack = Stack::start(&directory, listen, config, sandbox).await?;
    if arguments.json {
        say(&json!({
            "url": stack.url, "api_key": stack.access.api_key, "admin_key": stack.access.admin_key,
            "tenant_id": stack.access.tenant_id, "work_dir": stack.work_dir,
        })
        .to_string());
    } else {
        introduce(&stack);
    }
    tokio::select! {
        () = stop.cancelled() => {}
        () = stack.ended() => {}
    }
    stack.stop().await
}

/// Beside the private Postgres of this user.
fn default_directory() -> anyhow::Result<PathBuf> {
    let postgres = private_postgres::default_data_dir()?;
    Ok(postgres.parent().map_or_else(|| postgres.clone(), Path::to_owned).join("dev"))
}

fn introduce(stack: &Stack) {
    let Stack { url, access, work_dir, sandbox_url, .. } = stack;
    let work_dir = work_dir.display();
    say(&format!(
        "Gristmill is running at {url} (Ctrl-C stops it). In another shell:

  export GRISTMILL_URL={url}
  export GRISTMILL_API_KEY={key}
  export FILES='{work_dir}'

Files below $FILES can be read and written by jobs:

  cp examples/data/movies.csv \"$FILES/\"
  gristmill run \"$FILES/movies.csv\" --model sandbox/echo --prompt 'Describe {{{{ Title }}}}'

or without the command line:

  curl {url}/v1/jobs -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
    -d '{{\"input\": {{\"uri\": \"file://{work_dir}/movies.csv\"}}, \"model\": \"sandbox/echo\", \"prompt\": \"Describe {{{{ Title }}}}\"}}'

For administration, as in `GRISTMILL_API_KEY=$ADMIN_KEY gristmill admin tenant list`:

  export ADMIN_KEY={admin}
  export TENANT={tenant}

The sandbox provider answers at {sandbox_url}",
        key = access.api_key,
        admin = access.admin_key,
        tenant = access.tenant_id,
    ));
}
