//! `gristmill list`

use clap::Args;

use super::arguments::pair;
use super::pages::{self, Extent};
use super::{Outcome, Result, Session, text};
use crate::api::{Job, JobFilter};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Only jobs with this status
    #[arg(long)]
    pub status: Option<String>,
    /// Only jobs with this name
    #[arg(long)]
    pub name: Option<String>,
    /// Only jobs with this label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair::parse)]
    pub metadata: Vec<(String, String)>,
    #[command(flatten)]
    pub extent: Extent,
}

pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Outcome> {
    let filter = JobFilter { status: arguments.status, name: arguments.name, metadata: arguments.metadata };
    let header = ["JOB", "STATUS", "ROWS", "FAILED", "COST", "MODEL", "NAME", "CREATED (UTC)"];
    let fetch =
        async |session: &Session, limit: u32, cursor: Option<&str>| session.client.jobs(&filter, limit, cursor).await;
    pages::print(session, arguments.extent, &header, row, fetch).await?;
    Ok(Outcome::Done)
}

fn row(job: &Job) -> Vec<String> {
    let total = job.total_rows().map_or_else(|| "?".to_owned(), text::count);
    vec![
        job.id.clone(),
        job.status.to_string(),
        format!("{}/{total}", text::count(job.counts.done())),
        text::count(job.counts.failed),
        text::dollars(job.usage.cost_usd.as_deref()),
        job.model.to_string(),
        text::or_dash(job.name.as_deref()),
        text::time(job.created_at),
    ]
}
