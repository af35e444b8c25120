//! `gristmill admin …`: all but the first key goes through the API.

use std::process::ExitCode;

use anyhow::bail;

use super::{ConfigFile, client_context, say};
use crate::{services, stack};

#[derive(Debug, clap::Subcommand)]
pub enum AdminCommand {
    /// Print the first administrator's key; works once, on a database without one
    Bootstrap(BootstrapArguments),
    #[command(flatten)]
    Client(client::command::AdminCommand),
}

#[derive(Debug, clap::Args)]
pub struct BootstrapArguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub async fn run(command: AdminCommand) -> anyhow::Result<ExitCode> {
    match command {
        AdminCommand::Bootstrap(arguments) => bootstrap(&arguments).await.map(|()| ExitCode::SUCCESS),
        AdminCommand::Client(command) => Ok(client::command::run_admin(command, client_context()).await.into()),
    }
}

async fn bootstrap(arguments: &BootstrapArguments) -> anyhow::Result<()> {
    let db = services::database(&arguments.config.load()?)?;
    services::ensure_migrated(&db).await?;
    let mut tx = db.scheduler().await?;
    if db::api_keys::any_admin(&mut tx).await? {
        bail!("this database has an administrator's key already; make further keys with it");
    }
    tx.commit().await?;
    say(stack::admin_key::make(&db).await?.expose());
    Ok(())
}
