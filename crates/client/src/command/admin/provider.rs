//! `gristmill admin provider`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::api::ProviderRow;
use crate::command::admin::{print_done, read_record};
use crate::command::pages::{self, Extent};
use crate::command::{Call, Context, Outcome, Result, Session, text};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create or replace a provider record
    Put(Call<Put>),
    /// Print a provider record as JSON
    Get(Call<Get>),
    /// List provider records
    List(Call<List>),
    /// Delete a provider record and its models' records
    Delete(Call<Delete>),
}

#[derive(Debug, Args)]
pub struct Put {
    /// Id of the provider: the first part of its models' names
    pub provider: String,
    /// File that holds the record as JSON; - is standard input
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Get {
    /// Id of the provider
    pub provider: String,
}

#[derive(Debug, Args)]
pub struct List {}

#[derive(Debug, Args)]
pub struct Delete {
    /// Id of the provider
    pub provider: String,
}

pub(super) async fn run(command: Command, context: Context) -> Outcome {
    match command {
        Command::Put(call) => call.run(context, put).await,
        Command::Get(call) => call.run(context, get).await,
        Command::List(call) => call.run(context, list).await,
        Command::Delete(call) => call.run(context, delete).await,
    }
}

async fn put(arguments: Put, session: &mut Session) -> Result<Outcome> {
    let record = read_record(&arguments.file)?;
    let answer = session.client.put_provider(&arguments.provider, &record).await?;
    print_done(session, &answer, &format!("stored the provider {}", arguments.provider))
}

async fn get(arguments: Get, session: &mut Session) -> Result<Outcome> {
    let record = session.client.provider(&arguments.provider).await?;
    session.terminal.json(&record)?;
    Ok(Outcome::Done)
}

async fn list(_: List, session: &mut Session) -> Result<Outcome> {
    let header = ["PROVIDER", "DRIVER", "BASE URL", "CREDENTIAL", "VERSION"];
    let fetch = async |session: &Session, _: u32, cursor: Option<&str>| session.client.providers(cursor).await;
    pages::print(session, Extent::ALL, &header, row, fetch).await?;
    Ok(Outcome::Done)
}

fn row(provider: &ProviderRow) -> Vec<String> {
    vec![
        provider.id.clone(),
        text::or_dash(provider.driver.as_deref()),
        text::or_dash(provider.base_url.as_deref()),
        text::or_dash(provider.credential.as_deref()),
        provider.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
    ]
}

async fn delete(arguments: Delete, session: &mut Session) -> Result<Outcome> {
    session.client.delete_provider(&arguments.provider).await?;
    print_done(session, &Value::Null, &format!("deleted the provider {} and its models", arguments.provider))
}
