//! `gristmill admin credential`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::command::admin::print_done;
use crate::command::arguments::prompt::read_file;
use crate::command::{Call, CommandError, Context, Outcome, Result, Session};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create or replace a credential; it can't be read back
    Put(Call<Put>),
}

/// The secret is never an argument: other users could read it.
#[derive(Debug, Args)]
pub struct Put {
    pub name: String,
    /// File that holds the secret: its text, or a JSON object for signed schemes [default: standard input]
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

pub(super) async fn run(command: Command, context: Context) -> Outcome {
    match command {
        Command::Put(call) => call.run(context, put).await,
    }
}

async fn put(arguments: Put, session: &mut Session) -> Result<Outcome> {
    let text = read_file(arguments.secret_file.as_deref().unwrap_or(Path::new("-")))?;
    let secret = parse(&text)?;
    let answer = session.client.put_credential(&arguments.name, &secret).await?;
    print_done(session, &answer, &format!("stored the credential {}", arguments.name))
}

/// A JSON object as it is, all else as text without the line break at its end.
fn parse(text: &str) -> Result<Value> {
    let text = text.trim();
    if text.is_empty() {
        return Err(CommandError::Usage("the secret is empty".to_owned()));
    }
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        _ => Ok(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_is_an_object_or_text() {
        assert_eq!(parse("sk-abc\n").expect("a secret"), json!("sk-abc"));
        assert_eq!(parse("12345\n").expect("a secret"), json!("12345"));
        assert_eq!(parse(r#"{"key_id": "a"}"#).expect("a secret"), json!({"key_id": "a"}));
        assert!(parse(" \n").is_err());
    }
}
