#![doc = include_str!("../README.md")]

mod answer;
mod anthropic;
mod arrival;
mod asked;
mod batch;
mod call;
mod check;
mod clock;
mod completion;
mod config;
mod control;
mod deliveries;
mod desk;
mod error;
mod exchange;
mod family;
pub mod fault;
mod gemini;
mod limits;
pub mod log;
mod mistral;
mod openai;
mod reply;
mod server;
mod state;
mod stats;
mod together;
mod value;

pub use answer::{Answer, count_tokens, echo};
pub use batch::{BatchConfig, CallFault, ConfiguredOutcome, Operation, OperationFault, Outcome, Webhook};
pub use config::{Config, Model, Patch};
pub use error::Error;
pub use fault::{ConfiguredFault, Fault, InvalidFault};
pub use log::{BatchTotals, Entry, Totals, read_log};
pub use server::serve;
pub use stats::{BatchStats, Stats};
