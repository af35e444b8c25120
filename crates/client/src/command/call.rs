//! What every command of the client has: which service, which key, which form of result.

use std::path::PathBuf;

use clap::Args;

use super::{CommandError, Context, Outcome, Result, Session, report};
use crate::api::Client;

/// A command's own arguments and those that all have.
///
/// Plain options come first: the heading of a group counts for all that follow it.
#[derive(Debug, Args)]
pub struct Call<A: Args> {
    /// Print what the service answers as JSON, one value per line
    #[arg(long, display_order = 900)]
    pub json: bool,
    #[command(flatten)]
    pub arguments: A,
    #[command(flatten)]
    pub connection: Connection,
}

/// Which service, and with which key. The key is never an argument: other users could read it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Address of the service
    #[arg(
        long,
        env = "GRISTMILL_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8787",
        value_name = "URL"
    )]
    pub url: String,
    /// File that holds the API key [default: the environment variable GRISTMILL_API_KEY]
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
}

impl<A: Args> Call<A> {
    pub(super) async fn run(
        self,
        mut context: Context,
        command: impl AsyncFnOnce(A, &mut Session) -> Result<Outcome>,
    ) -> Outcome {
        let client = match self.connection.client(context.api_key.as_deref()) {
            Ok(client) => client,
            Err(error) => return report::error(&mut context.terminal, &error),
        };
        let mut session = Session::new(client, context.terminal, self.json, context.now);
        match command(self.arguments, &mut session).await {
            Ok(outcome) => outcome,
            Err(error) => report::error(&mut session.terminal, &error),
        }
    }
}

impl Connection {
    fn client(&self, key_of_environment: Option<&str>) -> Result<Client> {
        let api_key = match &self.api_key_file {
            Some(path) => std::fs::read_to_string(path).map_err(|source| CommandError::File {
                action: "read",
                path: path.clone(),
                source,
            })?,
            None => key_of_environment.unwrap_or_default().to_owned(),
        };
        match api_key.trim() {
            "" => Err(CommandError::MissingKey),
            api_key => Ok(Client::new(&self.url, api_key)?),
        }
    }
}
