//! Jobs that nothing disturbs.

mod command_line;
mod compressed;
mod control;
mod failures;
mod fairness;
mod formats;
mod inputs;
mod jsonl;
mod limits;
mod main_job;
mod openai_lines;
mod outages;
mod outputs;
mod records;
pub mod support;
mod table;
