//! The sandbox over TCP.

mod answers;
mod control;
mod faults;
mod limits;
mod oracle_log;
mod support;
