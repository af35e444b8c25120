//! `gristmill migrate`

use anyhow::Context as _;

use super::{ConfigFile, say};
use crate::services;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let db = services::database(&arguments.config.load()?)?;
    db.migrate().await.context("the schema could not be brought up to date")?;
    say("The schema is up to date.");
    Ok(())
}
