//! `gristmill admin tenant`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use crate::api::{Tenant, TenantChange};
use crate::command::admin::print_created;
use crate::command::arguments::pair;
use crate::command::pages::{self, Extent};
use crate::command::{Call, Context, Outcome, Result, Session, text};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a tenant and print its id
    Create(Call<Create>),
    /// Change a tenant
    Update(Call<Update>),
    /// Print a tenant as JSON
    Get(Call<Get>),
    /// List tenants
    List(Call<List>),
}

#[derive(Debug, Args)]
pub struct Create {
    pub name: String,
    #[command(flatten)]
    pub share: Share,
}

#[derive(Debug, Args)]
pub struct Update {
    /// Id of the tenant
    pub tenant: String,
    #[arg(long)]
    pub name: Option<String>,
    /// A suspended tenant can read but change nothing, and its jobs stand still
    #[arg(long, value_enum)]
    pub status: Option<Status>,
    #[command(flatten)]
    pub share: Share,
}

#[derive(Debug, Args)]
pub struct Share {
    /// Share of what tenants compete for, in relation to theirs
    #[arg(long, value_name = "N")]
    pub weight: Option<u32>,
    /// A quota, such as max_running_jobs=10; may be given several times
    #[arg(long = "quota", value_name = "NAME=VALUE", value_parser = pair::parse_json)]
    pub quotas: Vec<(String, Value)>,
}

#[derive(Debug, Args)]
pub struct Get {
    /// Id of the tenant
    pub tenant: String,
}

#[derive(Debug, Args)]
pub struct List {}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Status {
    Active,
    Suspended,
}

pub(super) async fn run(command: Command, context: Context) -> Outcome {
    match command {
        Command::Create(call) => call.run(context, create).await,
        Command::Update(call) => call.run(context, update).await,
        Command::Get(call) => call.run(context, get).await,
        Command::List(call) => call.run(context, list).await,
    }
}

async fn create(arguments: Create, session: &mut Session) -> Result<Outcome> {
    let tenant = TenantChange { name: Some(arguments.name), ..change(arguments.share) };
    let tenant = session.client.create_tenant(&tenant).await?;
    print_created(session, &tenant.json, &tenant.id)
}

async fn update(arguments: Update, session: &mut Session) -> Result<Outcome> {
    let status = arguments.status.map(|status| match status {
        Status::Active => "active".to_owned(),
        Status::Suspended => "suspended".to_owned(),
    });
    let change = TenantChange { name: arguments.name, status, ..change(arguments.share) };
    let tenant = session.client.update_tenant(&arguments.tenant, &change).await?;
    print_created(session, &tenant.json, &tenant.id)
}

fn change(share: Share) -> TenantChange {
    TenantChange { weight: share.weight, quotas: share.quotas.into_iter().collect(), ..TenantChange::default() }
}

async fn get(arguments: Get, session: &mut Session) -> Result<Outcome> {
    let tenant = session.client.tenant(&arguments.tenant).await?;
    session.terminal.json(&tenant.json)?;
    Ok(Outcome::Done)
}

async fn list(_: List, session: &mut Session) -> Result<Outcome> {
    let fetch = async |session: &Session, _: u32, cursor: Option<&str>| session.client.tenants(cursor).await;
    pages::print(session, Extent::ALL, &["TENANT", "NAME", "STATUS", "WEIGHT"], row, fetch).await?;
    Ok(Outcome::Done)
}

fn row(tenant: &Tenant) -> Vec<String> {
    vec![
        tenant.id.clone(),
        text::or_dash(tenant.name.as_deref()),
        text::or_dash(tenant.status.as_deref()),
        tenant.weight.map_or_else(|| "-".to_owned(), |weight| weight.to_string()),
    ]
}
