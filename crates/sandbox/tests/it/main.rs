//! The sandbox over TCP.

mod answers;
mod batch;
mod control;
mod faults;
mod limits;
mod oracle_log;
mod support;
