//! A job: one input file, one prompt, one model, one output file.

pub mod spec;
pub mod state;

pub use spec::Spec;
pub use state::{Event, InvalidTransition, State};
