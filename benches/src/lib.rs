//! What the benchmarks share. They print figures beside something measured in the same run, and never fail for being slow.

pub mod bare_file_loop;
pub mod bare_loop;
pub mod processes;
