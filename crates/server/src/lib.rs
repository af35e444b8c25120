#![doc = include_str!("../README.md")]

mod command;
mod environment;

pub mod config;

mod defaults;
mod health;
mod metrics;
mod services;
mod shutdown;
mod telemetry;

mod stack;

use std::process::ExitCode;

use clap::Parser;

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let command = command::CommandLine::parse();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command.run()),
        Err(error) => {
            command::report(&anyhow::Error::new(error).context("the runtime could not start"));
            ExitCode::FAILURE
        }
    }
}
