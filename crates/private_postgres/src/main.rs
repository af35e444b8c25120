//! Runs a private PostgreSQL server for one command, or for the tests of a user.

use std::error::Error as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Parser, Subcommand};
use private_postgres::{Binaries, Error, Options, PrivatePostgres, shared};

#[derive(Parser)]
#[command(version, about = "Runs a private PostgreSQL server")]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start a server, run a command with DATABASE_URL set to it, stop the server
    Run {
        /// Directory of the server; made when missing
        #[arg(long)]
        dir: PathBuf,
        /// The command and its arguments
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Keep the server that test processes share until none has used it for a while; tests start this themselves
    Keep {
        /// Directory of the server and its locks
        #[arg(long)]
        dir: PathBuf,
        /// Seconds that the server outlives its last user
        #[arg(long)]
        linger: u64,
    },
    /// Print the directory of the server programs that would be used
    Locate,
    /// Download server programs to where they will be found
    #[cfg(feature = "download")]
    Download,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().action {
        Action::Run { dir, command } => run(dir, &command),
        Action::Keep { dir, linger } => shared::keep(&dir, Duration::from_secs(linger)).map(|()| ExitCode::SUCCESS),
        Action::Locate => private_postgres::locate().map(|binaries| print(&binaries)),
        #[cfg(feature = "download")]
        Action::Download => private_postgres::download().map(|binaries| print(&binaries)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("private-postgres: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            eprintln!("  because: {cause}");
            source = cause.source();
        }
        ExitCode::FAILURE
    })
}

fn run(dir: PathBuf, command: &[String]) -> Result<ExitCode, Error> {
    let mut server = PrivatePostgres::start(Options { durable: false, ..Options::new(dir) })?;
    // The parser requires at least one word.
    let (program, arguments) = command.split_first().expect("a command has at least one word");
    let status = Command::new(program).args(arguments).env("DATABASE_URL", server.url("postgres")).status();
    server.stop()?;
    let status = status.map_err(|source| Error::Program { program: program.into(), source })?;
    // A command that a signal ended has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

#[expect(clippy::print_stdout, reason = "the output of these commands")]
fn print(binaries: &Binaries) -> ExitCode {
    println!("{}", binaries.directory.display());
    ExitCode::SUCCESS
}
