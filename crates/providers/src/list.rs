//! Lists at a provider that are searched page by page.

use domain::failure::{Class, Failure};

use crate::CallError;

/// Pages read before a search is given up: what it did not reach is unknown then, and not absent.
pub(crate) const MAX_PAGES: u32 = 100;

/// A search that was given up.
pub(crate) fn too_long() -> CallError {
    CallError::new(Failure::new(Class::Transient, "provider_list_too_long", "the provider's list has no end in sight"))
}

/// Adds what is new: pages overlap, as lists grow at their beginning.
pub(crate) fn add<T: PartialEq>(found: &mut Vec<T>, more: impl Iterator<Item = T>) {
    for one in more {
        if !found.contains(&one) {
            found.push(one);
        }
    }
}
