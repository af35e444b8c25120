#![doc = include_str!("../README.md")]

mod anthropic;
mod batch;
pub mod client;
mod driver;
mod encode;
mod error;
mod gemini;
mod openai;
mod usage;

pub use batch::{BatchDriver, CallError, EncodedFile, Found, Habits, Input, NewBatch, Polled, Transport, Wanted};
pub use driver::{Answer, Connection, Driver, Endpoint, Reply, connect};
