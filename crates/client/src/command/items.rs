//! `gristmill items`

use clap::Args;
use serde_json::Value;

use super::pages::{self, Extent};
use super::{Outcome, Result, Session, text};
use crate::api::Item;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Id of the job
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Show this row, counted from 0, with its attempts, as JSON
    #[arg(long, value_name = "N", conflicts_with_all = ["status", "limit", "all"])]
    pub row: Option<u64>,
    /// Only rows with this status: pending, running, succeeded, failed, cancelled, expired
    #[arg(long)]
    pub status: Option<String>,
    #[command(flatten)]
    pub extent: Extent,
}

pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Outcome> {
    if let Some(row) = arguments.row {
        let item = session.client.item(&arguments.job, row).await?;
        session.terminal.json(&item.json)?;
        return Ok(Outcome::Done);
    }
    let header = ["ROW", "STATUS", "ATTEMPTS", "CODE", "ERROR", "MODEL"];
    let fetch = async |session: &Session, limit: u32, cursor: Option<&str>| {
        session.client.items(&arguments.job, arguments.status.as_deref(), limit, cursor).await
    };
    pages::print(session, arguments.extent, &header, row, fetch).await?;
    Ok(Outcome::Done)
}

fn row(item: &Item) -> Vec<String> {
    vec![
        item.row.to_string(),
        item.status.clone(),
        attempts(&item.attempts),
        text::or_dash(item.error_code.as_deref()),
        text::or_dash(item.error.as_deref()),
        text::or_dash(item.model.as_deref()),
    ]
}

fn attempts(attempts: &Value) -> String {
    match attempts {
        Value::Number(number) => number.to_string(),
        Value::Array(list) => list.len().to_string(),
        _ => "-".to_owned(),
    }
}
