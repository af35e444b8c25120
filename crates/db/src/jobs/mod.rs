//! Jobs: submit, look up, and change of state.

mod read;
mod submit;
mod transition;

pub(crate) use read::parse_state;
pub use read::{Counts, Filter, Job, Page, Work, control, get, list, work};
pub use submit::{Accepted, Idempotency, NewJob, earlier, insert};
pub(crate) use transition::{Reason, apply, lock};
pub use transition::{due, fail, transition};
