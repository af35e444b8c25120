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
    match tokio::runtime::Builder::new_multi_thread().max_blocking_threads(blocking_threads()).enable_all().build() {
        Ok(runtime) => runtime.block_on(command.run()),
        Err(error) => {
            command::report(&anyhow::Error::new(error).context("the runtime could not start"));
            ExitCode::FAILURE
        }
    }
}

/// Threads for work that blocks: encoding, hashing, files. Each keeps memory of its own for what it did last, so more than the
/// processors can use only costs memory.
fn blocking_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).saturating_mul(4).max(12)
}
