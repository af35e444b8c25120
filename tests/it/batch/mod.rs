//! The batch route, end to end, against the sandbox's provider batches.

mod alerts;
mod budgets;
mod catalogue;
mod control;
mod creates;
mod ends;
mod families;
mod kills;
mod main_route;
mod records;
pub mod support;
mod tenants;
mod untagged;
mod validation;
