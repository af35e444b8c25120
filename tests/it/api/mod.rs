//! The HTTP API, as any HTTP client sees it.

mod access;
mod admin;
mod catalogue;
mod contract;
mod defaults;
mod grants;
mod http;
mod idempotency;
mod isolation;
mod items;
mod lists;
mod validation;
