//! End-to-end tests: the shipped binary as separate processes, over TCP.

mod faults;
mod jobs;
