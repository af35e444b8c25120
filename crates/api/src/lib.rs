#![doc = include_str!("../README.md")]

mod app;
mod router;

mod auth;
mod body;
mod cursor;
mod edge;
mod path;
mod problem;
mod query;
mod signature;
mod storage;

mod jobs;
mod models;
mod provider_webhooks;

mod admin;

mod health;
mod later;

mod openapi;

pub use app::{App, Clock, Config};
pub use openapi::{openapi, openapi_json};
pub use router::router;
