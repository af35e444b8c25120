//! The batch route, end to end, against the sandbox's provider batches.

mod alerts;
mod main_route;
mod support;
