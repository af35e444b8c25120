//! `gristmill quickstart`: a real job on real rows through the real API, in a stack of its own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use client::command::{ClientCommand, Context, Outcome};
use client::terminal::Terminal;

use super::{ConfigFile, say};
use crate::config::Config;
use crate::stack::Stack;
use crate::{services, telemetry};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Keep the stack's files in this directory [default: a fresh one, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

/// The example: 3,201 films.
const MOVIES: &[u8] = include_bytes!("../../../../examples/data/movies.csv");
const PROMPT: &str = "In one sentence: what kind of film is {{ Title }}{% if row[\"Release Date\"] %} ({{ row[\"Release Date\"] }}){% endif %}?";

/// The client's commands alone, as the example uses them.
#[derive(Debug, clap::Parser)]
struct ClientLine {
    #[command(subcommand)]
    command: ClientCommand,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(arguments.config.config.as_deref())?;
    // The progress bar is the story here; troubles still show.
    "warn".clone_into(&mut config.log.filter);
    telemetry::start(&config.log)?;
    let (directory, fresh) = match arguments.dir {
        Some(directory) => (directory, false),
        None => (fresh_directory()?, true),
    };
    say("Starting a private Postgres, the API, a worker and the sandbox provider …");
    let sandbox = sandbox::Config { latency_ms: 40, latency_jitter_ms: 20, ..sandbox::Config::default() };
    let stack = Stack::start(&directory, ([127, 0, 0, 1], 0).into(), config, sandbox).await?;
    let outcome = run_example(&stack).await;
    stack.stop().await?;
    if fresh {
        std::fs::remove_dir_all(&directory).with_context(|| format!("can't remove {}", directory.display()))?;
    }
    let outcome = outcome?;
    if fresh {
        say("\nThe stack and its files are gone again; with --dir DIR they stay.");
    } else {
        say(&format!("\nThe stack has stopped; `gristmill dev --dir {}` starts it again.", directory.display()));
    }
    if outcome == Outcome::Done {
        say(NEXT);
    }
    Ok(outcome.into())
}

async fn run_example(stack: &Stack) -> anyhow::Result<Outcome> {
    let input = stack.work_dir.join("movies.csv");
    std::fs::write(&input, MOVIES).with_context(|| format!("can't write {}", input.display()))?;
    let uri = format!("file://{}", input.display());
    say(&format!("\n$ gristmill run {} --model sandbox/echo --prompt '{PROMPT}'\n", name_of(&input)));
    let line = [
        "gristmill",
        "run",
        &uri,
        "--model",
        "sandbox/echo",
        "--name",
        "quickstart",
        "--prompt",
        PROMPT,
        "--url",
        &stack.url,
    ];
    let line = ClientLine::try_parse_from(line)?;
    let context =
        Context { api_key: Some(stack.access.api_key.clone()), now: services::now(), terminal: Terminal::standard() };
    Ok(client::command::run(line.command, context).await)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Below the system's temporary directory, where the unprivileged Postgres can reach it.
fn fresh_directory() -> anyhow::Result<PathBuf> {
    let directory = std::env::temp_dir().join(format!("gristmill-quickstart-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir(&directory).with_context(|| format!("can't make {}", directory.display()))?;
    Ok(directory)
}

const NEXT: &str = "
That was a job: 3,201 rows, one prompt, every row back with its answer. Next:

  target/debug/gristmill dev        the same stack, kept running, with keys and a curl line
  target/debug/gristmill --help     all commands
  docs/tutorial.md                  your own file, your own provider";
