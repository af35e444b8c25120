//! The typed client of the HTTP API.

mod answer;
mod builder;
mod client;
mod error;
mod problem;
mod request;

mod admin;
mod health;
mod item;
mod job;
mod jobs;
mod model;
mod output;
mod submission;

pub use admin::grants::{Grant, NewGrant};
pub use admin::keys::{Key, NewKey};
pub use admin::providers::{ModelRow, ProviderRow};
pub use admin::tenants::{Tenant, TenantChange};
pub use answer::{Answer, Page};
pub use builder::ClientBuilder;
pub use client::Client;
pub use error::Error;
pub use item::Item;
pub use job::{Counts, Job, JobOutput, JobStatus, ModelNames, Reason, Usage};
pub use jobs::JobFilter;
pub use model::Model;
pub use output::Output;
pub use problem::{FieldError, Problem};
pub use submission::{IfExists, InputPlace, JobLimits, OutputPlace, Submission};

pub type Result<T> = std::result::Result<T, Error>;
