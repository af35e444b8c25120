//! The router against Postgres and local files, without a network between.

mod admin;
mod app;
mod auth;
mod items;
mod jobs;
mod outage;
mod provider_webhooks;
mod records;
mod submit;
