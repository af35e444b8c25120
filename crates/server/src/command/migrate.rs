//! `gristmill migrate`

use super::{ConfigFile, say};
use crate::defaults::Added;
use crate::services;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let db = services::database(&arguments.config.load()?)?;
    let added = services::migrate(&db).await?;
    say("The schema is up to date.");
    if added != Added::default() {
        say(&format!("Default records added: {} providers, {} models.", added.providers, added.models));
    }
    Ok(())
}
