//! The client against a scripted service.

mod support;

mod admin;
mod calls;
mod commands;
mod download;
mod watch;
