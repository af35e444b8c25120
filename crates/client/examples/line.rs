use clap::Parser;
/// LLM batches
#[derive(Parser)] struct Cli { #[command(subcommand)] c: C }
#[derive(clap::Subcommand)] enum C { #[command(flatten)] A(client::command::ClientCommand), /// administer
 Admin { #[command(subcommand)] a: Ad } }
#[derive(clap::Subcommand)] enum Ad { Bootstrap, #[command(flatten)] A(client::command::AdminCommand) }
#[tokio::main]
async fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let context = client::command::Context { api_key: Some("gm_x".into()), now: std::time::SystemTime::now().into(), terminal: client::terminal::Terminal::standard() };
    match cli.c { C::A(c) => client::command::run(c, context).await.into(),  C::
 Admin { a: Ad::A(a) } => client::command::run_admin(a, context).await.into(), _ => 9.into() }
}
