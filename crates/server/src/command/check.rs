//! `gristmill check JOB`

use std::process::ExitCode;

use anyhow::Context as _;
use domain::ids::JobId;

use super::{ConfigFile, say};
use crate::services::{Services, ensure_migrated};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The job to check; it must have ended
    #[arg(value_name = "JOB")]
    job_id: JobId,
    #[command(flatten)]
    config: ConfigFile,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.config.load()?;
    let services = Services::open(config).await?;
    ensure_migrated(&services.db).await?;
    let report = pipeline::check::check(&services.pipeline_context()?, arguments.job_id)
        .await
        .context("the check could not be made")?;
    say(&report.to_string());
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
