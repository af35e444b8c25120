//! Tests that start real servers.

mod owner;
mod server;
mod shared;
mod support;
