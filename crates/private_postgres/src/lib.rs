#![doc = include_str!("../README.md")]

pub mod shared;

mod server;
pub use server::{Options, PrivatePostgres};

mod locate;
pub use locate::{Binaries, MINIMUM_MAJOR, locate};

#[cfg(feature = "download")]
mod download;
#[cfg(feature = "download")]
pub use download::download;

mod error;
pub use error::Error;

mod account;
mod cluster;
mod environment;
mod layout;
pub use layout::default_data_dir;

mod leftovers;
mod poll;
mod postmaster;
