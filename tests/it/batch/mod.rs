//! The batch route, end to end, against the sandbox's provider batches.

mod main_route;
mod support;
