#![doc = include_str!("../README.md")]

mod anthropic;
mod azure_openai;
mod batch;
mod call_error;
pub mod client;
mod driver;
mod encode;
mod error;
mod gemini;
mod groq;
mod lenient;
mod list;
mod mistral;
mod openai;
mod result_id;
mod together;
mod usage;

pub use batch::{BatchDriver, EncodedFile, Found, Habits, Input, NewBatch, Polled, Transport, Wanted};
pub use call_error::CallError;
pub use driver::{Answer, Connection, Driver, Endpoint, Reply, connect};
