//! Run: open rows become dispatches, dispatches become outcomes.

pub(crate) mod form;
pub(crate) mod place;

pub(crate) mod batch;

pub(crate) mod commit;
pub(crate) mod limits;
pub(crate) mod realtime;
pub mod registry;
pub(crate) mod rows;
pub(crate) mod store;
