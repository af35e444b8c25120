#![doc = include_str!("../README.md")]

mod context;
mod error;
mod job;
mod metrics;

pub mod worker;

mod plan;
mod requests;

mod run;

mod merge;

pub mod check;

pub use context::{AnswerMemory, Context, Options};
pub use error::StepError;
pub use metrics::Metrics;
pub use run::registry::Registry;
