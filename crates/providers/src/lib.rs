#![doc = include_str!("../README.md")]

pub mod client;
mod driver;
mod openai;

pub use driver::{Answer, Driver, Endpoint, Reply, connect};
