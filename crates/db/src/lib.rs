#![doc = include_str!("../README.md")]

mod convert;
mod database;
mod error;
mod master_key;
mod tx;

pub mod api_keys;
pub mod chunks;
pub mod credentials;
pub mod defaults;
pub mod dispatches;
pub mod items;
pub mod jobs;
pub mod limit_groups;
pub mod metrics;
pub mod models;
pub mod outcomes;
pub mod provider_batches;
pub mod providers;
pub mod remote_objects;
pub mod seal;
pub mod steps;
pub mod storage_grants;
pub mod tenants;

pub use database::{Database, Listener, Options};
pub use error::Error;
pub use master_key::{MasterKey, MasterKeyError};
pub use tx::{SchedulerTx, TenantTx, Tx};

pub type Result<T> = std::result::Result<T, Error>;
