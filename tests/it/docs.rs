//! What the documentation says is so: its commands run, its snippets parse, its links lead somewhere, its lists are complete.

mod architecture;
mod commands;
mod lists;
pub mod pages;
mod snippets;
