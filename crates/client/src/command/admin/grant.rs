//! `gristmill admin grant`

use clap::{Args, Subcommand, ValueEnum};

use serde_json::Value;

use crate::api::{Grant, NewGrant};
use crate::command::admin::{print_created, print_done};
use crate::command::pages::{self, Extent};
use crate::command::{Call, Context, Outcome, Result, Session, text};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Let a tenant use what is below a prefix
    Add(Call<Add>),
    /// List a tenant's grants
    List(Call<List>),
    /// Take a grant away
    Remove(Call<Remove>),
}

#[derive(Debug, Args)]
pub struct Add {
    /// Id of the tenant
    pub tenant: String,
    /// Such as s3://bucket/path/
    pub uri_prefix: String,
    #[arg(long, value_enum, default_value = "read_write")]
    pub access: Access,
    /// Name of the credential that opens it [default: the service's own]
    #[arg(long, value_name = "NAME")]
    pub credential: Option<String>,
}

#[derive(Debug, Args)]
pub struct List {
    /// Id of the tenant
    pub tenant: String,
}

#[derive(Debug, Args)]
pub struct Remove {
    /// Id of the tenant
    pub tenant: String,
    /// Id of the grant
    pub grant: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Access {
    Read,
    Write,
    #[value(name = "read_write")]
    ReadWrite,
}

impl Access {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadWrite => "read_write",
        }
    }
}

pub(super) async fn run(command: Command, context: Context) -> Outcome {
    match command {
        Command::Add(call) => call.run(context, add).await,
        Command::List(call) => call.run(context, list).await,
        Command::Remove(call) => call.run(context, remove).await,
    }
}

async fn add(arguments: Add, session: &mut Session) -> Result<Outcome> {
    let grant = NewGrant {
        uri_prefix: arguments.uri_prefix,
        access: arguments.access.name().to_owned(),
        credential: arguments.credential,
    };
    let grant = session.client.create_grant(&arguments.tenant, &grant).await?;
    print_created(session, &grant.json, &grant.id)
}

async fn list(arguments: List, session: &mut Session) -> Result<Outcome> {
    let header = ["GRANT", "PREFIX", "ACCESS", "CREDENTIAL"];
    let fetch =
        async |session: &Session, _: u32, cursor: Option<&str>| session.client.grants(&arguments.tenant, cursor).await;
    pages::print(session, Extent::ALL, &header, row, fetch).await?;
    Ok(Outcome::Done)
}

fn row(grant: &Grant) -> Vec<String> {
    vec![
        grant.id.clone(),
        grant.uri_prefix.clone(),
        text::or_dash(grant.access.as_deref()),
        text::or_dash(grant.credential.as_deref()),
    ]
}

async fn remove(arguments: Remove, session: &mut Session) -> Result<Outcome> {
    session.client.delete_grant(&arguments.tenant, &arguments.grant).await?;
    print_done(session, &Value::Null, &format!("removed {}", arguments.grant))
}
