//! The client half of the command line: one file per command.

mod call;
mod context;
mod error;
mod outcome;
mod report;

mod arguments;
mod pages;
mod text;

pub mod admin;
pub mod items;
pub mod list;
pub mod models;
pub mod output;
pub mod run;
pub mod status;
pub mod submit;
pub mod verbs;
pub mod watch;

pub use admin::AdminCommand;
pub use call::{Call, Connection};
pub use context::{Context, Session};
pub use error::CommandError;
pub use outcome::Outcome;

/// What a command comes to.
pub type Result<T> = std::result::Result<T, CommandError>;

/// Commands that use the service as a tenant does.
#[derive(Debug, clap::Subcommand)]
pub enum ClientCommand {
    /// Submit a job and print its id
    Submit(Box<Call<submit::Arguments>>),
    /// Submit a job, watch it, and fetch its output
    Run(Box<Call<run::Arguments>>),
    /// List jobs, newest first
    List(Call<list::Arguments>),
    /// Show one job
    Status(Call<status::Arguments>),
    /// Follow a job until it has ended
    Watch(Call<watch::Arguments>),
    /// List a job's rows and how they stand
    Items(Call<items::Arguments>),
    /// Fetch a finished job's output
    Output(Call<output::Arguments>),
    /// Stop a job for good
    Cancel(Call<verbs::Arguments>),
    /// Let a job stand still
    Pause(Call<verbs::Arguments>),
    /// Let a paused job go on
    Resume(Call<verbs::Arguments>),
    /// List the models that you may use
    Models(Call<models::Arguments>),
}

/// Runs a command. Errors are reported on the context's terminal.
pub async fn run(command: ClientCommand, context: Context) -> Outcome {
    match command {
        ClientCommand::Submit(call) => call.run(context, submit::run).await,
        ClientCommand::Run(call) => call.run(context, run::run).await,
        ClientCommand::List(call) => call.run(context, list::run).await,
        ClientCommand::Status(call) => call.run(context, status::run).await,
        ClientCommand::Watch(call) => call.run(context, watch::run).await,
        ClientCommand::Items(call) => call.run(context, items::run).await,
        ClientCommand::Output(call) => call.run(context, output::run).await,
        ClientCommand::Cancel(call) => call.run(context, verbs::cancel).await,
        ClientCommand::Pause(call) => call.run(context, verbs::pause).await,
        ClientCommand::Resume(call) => call.run(context, verbs::resume).await,
        ClientCommand::Models(call) => call.run(context, models::run).await,
    }
}

/// Runs an administrator's command. Errors are reported on the context's terminal.
pub async fn run_admin(command: AdminCommand, context: Context) -> Outcome {
    admin::run(command, context).await
}
