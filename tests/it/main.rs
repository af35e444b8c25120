//! End-to-end tests: the shipped binary as separate processes, over TCP.

mod api;
mod batch;
mod check;
mod db;
mod docs;
mod faults;
mod jobs;
mod stack;
