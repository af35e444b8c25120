//! The sandbox over TCP.

mod answers;
mod anthropic;
mod batch;
mod control;
mod faults;
mod gemini;
mod limits;
mod oracle_log;
mod support;
