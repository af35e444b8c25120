//! `gristmill admin model`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::command::admin::{print_done, read_record};
use crate::command::{Call, CommandError, Context, Outcome, Result, Session};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create or replace a model record
    Put(Call<Put>),
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

pub(super) async fn run(command: Command, context: Context) -> Outcome {
    match command {
        Command::Put(call) => call.run(context, put).await,
    }
}

async fn put(arguments: Put, session: &mut Session) -> Result<Outcome> {
    let Some((provider, model)) = arguments.model.split_once('/') else {
        return Err(CommandError::Usage("a model is named PROVIDER/MODEL, such as openai/gpt-5-mini".to_owned()));
    };
    let record = read_record(&arguments.file)?;
    let answer = session.client.put_model(provider, model, &record).await?;
    print_done(session, &answer, &format!("stored the model {}", arguments.model))
}
