//! `gristmill admin key`

use clap::{Args, Subcommand};

use serde_json::Value;

use crate::api::{Key, NewKey};
use crate::command::admin::{print_created, print_done};
use crate::command::arguments::moment::Moment;
use crate::command::pages::{self, Extent};
use crate::command::{Call, Context, Outcome, Result, Session, text};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a key and print it; it can't be read again
    Create(Call<Create>),
    /// List a tenant's keys
    List(Call<List>),
    /// Revoke a key at once
    Revoke(Call<Revoke>),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Id of the tenant
    pub tenant: String,
    /// Who uses the key
    #[arg(long)]
    pub name: String,
    /// What the key may do, such as jobs:read; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", default_values = ["jobs:read", "jobs:write"])]
    pub scopes: Vec<String>,
    /// When it ends: a time (RFC 3339) or a span such as 90d [default: never]
    #[arg(long, value_name = "TIME|SPAN")]
    pub expires: Option<Moment>,
}

#[derive(Debug, Args)]
pub struct List {
    /// Id of the tenant
    pub tenant: String,
}

#[derive(Debug, Args)]
pub struct Revoke {
    /// Id of the tenant
    pub tenant: String,
    /// Id of the key
    pub key: String,
}

pub(super) async fn run(command: Command, context: Context) -> Outcome {
    match command {
        Command::Create(call) => call.run(context, create).await,
        Command::List(call) => call.run(context, list).await,
        Command::Revoke(call) => call.run(context, revoke).await,
    }
}

async fn create(arguments: Create, session: &mut Session) -> Result<Outcome> {
    let expires_at = arguments.expires.map(|expires| expires.from(session.now)).transpose()?;
    let key = NewKey { name: arguments.name, scopes: arguments.scopes, expires_at };
    let key = session.client.create_key(&arguments.tenant, &key).await?;
    if !session.json {
        session.terminal.note(&format!("created {}; the key itself is shown only now:", key.id))?;
    }
    print_created(session, &key.json, key.key.as_deref().unwrap_or(&key.id))
}

async fn list(arguments: List, session: &mut Session) -> Result<Outcome> {
    let header = ["KEY", "NAME", "SCOPES", "STATE", "LAST USED (UTC)"];
    let fetch =
        async |session: &Session, _: u32, cursor: Option<&str>| session.client.keys(&arguments.tenant, cursor).await;
    pages::print(session, Extent::ALL, &header, row, fetch).await?;
    Ok(Outcome::Done)
}

fn row(key: &Key) -> Vec<String> {
    let state = match (key.revoked_at, key.expires_at) {
        (Some(revoked), _) => format!("revoked {}", text::time(revoked)),
        (None, Some(expires)) => format!("until {}", text::time(expires)),
        (None, None) => "valid".to_owned(),
    };
    vec![
        key.id.clone(),
        text::or_dash(key.name.as_deref()),
        key.scopes.join(" "),
        state,
        key.last_used_at.map_or_else(|| "-".to_owned(), text::time),
    ]
}

async fn revoke(arguments: Revoke, session: &mut Session) -> Result<Outcome> {
    session.client.revoke_key(&arguments.tenant, &arguments.key).await?;
    print_done(session, &Value::Null, &format!("revoked {}", arguments.key))
}
