//! `gristmill admin …`: the commands that use `/v1/admin`.

pub mod credential;
pub mod grant;
pub mod key;
pub mod model;
pub mod provider;
pub mod tenant;

use std::path::Path;

use serde_json::Value;

use super::arguments::prompt::read_file;
use super::{CommandError, Context, Outcome, Result, Session};

/// Commands of an administrator: `GRISTMILL_API_KEY` is a key with the scope `admin`.
#[derive(Debug, clap::Subcommand)]
pub enum AdminCommand {
    /// Teams that use the service
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// API keys of a tenant
    #[command(subcommand)]
    Key(key::Command),
    /// Storage that a tenant may read and write
    #[command(subcommand)]
    Grant(grant::Command),
    /// Secrets of providers and storage
    #[command(subcommand)]
    Credential(credential::Command),
    /// Provider records
    #[command(subcommand)]
    Provider(provider::Command),
    /// Model records
    #[command(subcommand)]
    Model(model::Command),
}

pub(super) async fn run(command: AdminCommand, context: Context) -> Outcome {
    match command {
        AdminCommand::Tenant(command) => tenant::run(command, context).await,
        AdminCommand::Key(command) => key::run(command, context).await,
        AdminCommand::Grant(command) => grant::run(command, context).await,
        AdminCommand::Credential(command) => credential::run(command, context).await,
        AdminCommand::Provider(command) => provider::run(command, context).await,
        AdminCommand::Model(command) => model::run(command, context).await,
    }
}

/// A JSON object in a file, or on standard input for `-`.
fn read_record(path: &Path) -> Result<Value> {
    let text = read_file(path)?;
    serde_json::from_str(&text).map_err(|error| CommandError::Usage(format!("{} is not JSON: {error}", path.display())))
}

/// Prints what was created: the answer as JSON, or its id.
fn print_created(session: &mut Session, json: &Value, id: &str) -> Result<Outcome> {
    if session.json {
        session.terminal.json(json)?;
    } else {
        session.terminal.line(id)?;
    }
    Ok(Outcome::Done)
}

/// Says what was done, and prints the answer as JSON where there is one.
fn print_done(session: &mut Session, json: &Value, text: &str) -> Result<Outcome> {
    session.terminal.note(text)?;
    if session.json && !json.is_null() {
        session.terminal.json(json)?;
    }
    Ok(Outcome::Done)
}
