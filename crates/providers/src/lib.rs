#![doc = include_str!("../README.md")]

mod batch;
pub mod client;
mod driver;
mod openai;

pub use batch::{BatchDriver, CallError, EncodedFile, Found, Habits, Input, NewBatch, Polled, Transport, Wanted};
pub use driver::{Answer, Connection, Driver, Endpoint, Reply, connect};
