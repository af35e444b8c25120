//! End-to-end tests: the shipped binary as separate processes, over TCP.

mod db;
mod faults;
mod jobs;
