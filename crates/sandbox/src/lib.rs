#![doc = include_str!("../README.md")]

mod answer;
mod anthropic;
mod arrival;
mod asked;
mod check;
mod clock;
mod completion;
mod config;
mod control;
mod deliveries;
mod error;
mod exchange;
mod family;
pub mod fault;
mod gemini;
mod limits;
pub mod log;
mod openai;
mod reply;
mod server;
mod state;
mod stats;
mod value;

pub use answer::{Answer, count_tokens, echo};
pub use config::{Config, Model, Patch};
pub use error::Error;
pub use fault::{ConfiguredFault, Fault, InvalidFault};
pub use log::{Entry, Totals, read_log};
pub use server::serve;
pub use stats::Stats;
