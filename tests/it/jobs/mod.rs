//! Jobs that nothing disturbs.

mod control;
mod failures;
mod formats;
mod inputs;
mod main_job;
mod outputs;
mod records;
mod table;
