#![doc = include_str!("../README.md")]

mod azure_openai;
mod batch;
mod call_error;
pub mod client;
mod driver;
mod groq;
mod mistral;
mod openai;
mod together;

pub use batch::{BatchDriver, EncodedFile, Found, Habits, Input, NewBatch, Polled, Transport, Wanted};
pub use call_error::CallError;
pub use driver::{Answer, Connection, Driver, Endpoint, Reply, connect};
