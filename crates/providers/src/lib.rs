#![doc = include_str!("../README.md")]

mod batch;
mod call_error;
pub mod client;
mod driver;
mod openai;

pub use batch::{BatchDriver, EncodedFile, Found, Habits, Input, NewBatch, Polled, Transport, Wanted};
pub use call_error::CallError;
pub use driver::{Answer, Connection, Driver, Endpoint, Reply, connect};
