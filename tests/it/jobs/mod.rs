//! Jobs that nothing disturbs.

mod main_job;
