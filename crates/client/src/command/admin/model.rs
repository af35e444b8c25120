//! `gristmill admin model`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::api::ModelRow;
use crate::command::admin::{print_done, read_record};
use crate::command::pages::{self, Extent};
use crate::command::{Call, CommandError, Context, Outcome, Result, Session, text};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create or replace a model record
    Put(Call<Put>),
    /// Print a model record as JSON
    Get(Call<Get>),
    /// List the model records of all providers
    List(Call<List>),
    /// Delete a model record
    Delete(Call<Delete>),
}

#[derive(Debug, Args)]
pub struct Put {
    /// The model as jobs name it
    #[arg(value_name = "PROVIDER/MODEL")]
    pub model: String,
    /// File that holds the record as JSON; - is standard input
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Get {
    /// The model as jobs name it
    #[arg(value_name = "PROVIDER/MODEL")]
    pub model: String,
}

#[derive(Debug, Args)]
pub struct List {}

#[derive(Debug, Args)]
pub struct Delete {
    /// The model as jobs name it
    #[arg(value_name = "PROVIDER/MODEL")]
    pub model: String,
}

pub(super) async fn run(command: Command, context: Context) -> Outcome {
    match command {
        Command::Put(call) => call.run(context, put).await,
        Command::Get(call) => call.run(context, get).await,
        Command::List(call) => call.run(context, list).await,
        Command::Delete(call) => call.run(context, delete).await,
    }
}

fn parts(model: &str) -> Result<(&str, &str)> {
    let usage = || CommandError::Usage("a model is named PROVIDER/MODEL, such as openai/gpt-5-mini".to_owned());
    model.split_once('/').ok_or_else(usage)
}

async fn put(arguments: Put, session: &mut Session) -> Result<Outcome> {
    let (provider, model) = parts(&arguments.model)?;
    let record = read_record(&arguments.file)?;
    let answer = session.client.put_model(provider, model, &record).await?;
    print_done(session, &answer, &format!("stored the model {}", arguments.model))
}

async fn get(arguments: Get, session: &mut Session) -> Result<Outcome> {
    let (provider, model) = parts(&arguments.model)?;
    let record = session.client.model_record(provider, model).await?;
    session.terminal.json(&record)?;
    Ok(Outcome::Done)
}

async fn list(_: List, session: &mut Session) -> Result<Outcome> {
    let fetch = async |session: &Session, _: u32, cursor: Option<&str>| session.client.model_records(cursor).await;
    pages::print(session, Extent::ALL, &["MODEL", "UPSTREAM", "VERSION"], row, fetch).await?;
    Ok(Outcome::Done)
}

fn row(model: &ModelRow) -> Vec<String> {
    vec![
        model.id.clone(),
        text::or_dash(model.upstream_model.as_deref()),
        model.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
    ]
}

async fn delete(arguments: Delete, session: &mut Session) -> Result<Outcome> {
    let (provider, model) = parts(&arguments.model)?;
    session.client.delete_model(provider, model).await?;
    print_done(session, &Value::Null, &format!("deleted the model {}", arguments.model))
}
