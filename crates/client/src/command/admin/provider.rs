//! `gristmill admin provider`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::command::admin::{print_done, read_record};
use crate::command::{Call, Context, Outcome, Result, Session};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create or replace a provider record
    Put(Call<Put>),
    /// Print a provider record as JSON
    Get(Call<Get>),
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

pub(super) async fn run(command: Command, context: Context) -> Outcome {
    match command {
        Command::Put(call) => call.run(context, put).await,
        Command::Get(call) => call.run(context, get).await,
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
