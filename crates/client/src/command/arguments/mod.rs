//! Forms of arguments that several commands share.

pub mod location;
pub mod moment;
pub mod pair;
pub mod parameters;
pub mod prompt;
pub mod span;
