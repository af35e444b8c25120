//! The commands of the binary.

mod admin;
mod check;
mod dev;
mod migrate;
mod openapi;
mod quickstart;
mod sandbox;
mod serve;
mod worker;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use client::command::{ClientCommand, Context};
use client::terminal::Terminal;

use crate::config::Config;
use crate::{environment, services, telemetry};

/// Large-scale LLM batch processing: a table and a prompt in, the same table with the answers out.
#[derive(Debug, Parser)]
#[command(name = "gristmill", version, propagate_version = true, arg_required_else_help = true)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything privately, run the example job through it, show the result
    Quickstart(quickstart::Arguments),
    /// The same, kept running: API, worker, private Postgres, local files, sandbox provider
    Dev(dev::Arguments),
    /// Serve the API
    Serve(serve::Arguments),
    /// Work on jobs
    Worker(worker::Arguments),
    /// Bring the database's schema up to date
    Migrate(migrate::Arguments),
    /// Print the OpenAPI document
    Openapi,
    /// Prove from input and output that no row of a job was lost, doubled or changed
    Check(check::Arguments),
    /// Serve a provider that isn't one, for tests
    Sandbox(sandbox::Arguments),
    /// Tenants, keys, grants, credentials, providers, models
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    #[command(flatten)]
    Client(ClientCommand),
}

/// Where the configuration comes from.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigFile {
    /// Configuration file (TOML)
    #[arg(long, env = "GRISTMILL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads it, and starts logging as it says.
    fn load(&self) -> anyhow::Result<Config> {
        let config = Config::load(self.config.as_deref())?;
        telemetry::start(&config.log)?;
        Ok(config)
    }
}

impl CommandLine {
    pub async fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Quickstart(arguments) => quickstart::run(arguments).await,
            Command::Dev(arguments) => done(dev::run(arguments).await),
            Command::Serve(arguments) => done(serve::run(arguments).await),
            Command::Worker(arguments) => done(worker::run(arguments).await),
            Command::Migrate(arguments) => done(migrate::run(arguments).await),
            Command::Openapi => done(openapi::run()),
            Command::Check(arguments) => check::run(arguments).await,
            Command::Sandbox(arguments) => done(sandbox::run(arguments).await),
            Command::Admin(command) => admin::run(command).await,
            Command::Client(command) => Ok(client::command::run(command, client_context()).await.into()),
        };
        result.unwrap_or_else(|error| {
            report(&error);
            ExitCode::FAILURE
        })
    }
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

/// What the client's commands take from their surroundings.
fn client_context() -> Context {
    Context {
        api_key: environment::variable("GRISTMILL_API_KEY"),
        now: services::now(),
        terminal: Terminal::standard(),
    }
}

/// Says what went wrong, with every cause that its error does not tell already.
pub fn report(error: &anyhow::Error) {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(std::io::stderr(), "gristmill: {text}");
}

/// A line for the caller.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
