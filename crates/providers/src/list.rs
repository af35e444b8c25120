//! Lists at a provider that are searched page by page.

use chrono::{DateTime, TimeDelta, Utc};
use domain::failure::{Class, Failure};

use crate::{CallError, Wanted};

/// Clocks of both sides may differ by this much.
pub(crate) const CLOCK_SLACK: TimeDelta = TimeDelta::minutes(10);

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

/// Whether a page of a list, newest first, goes back to before what is searched for. That lists are newest first is observed, not
/// promised: a page in another order says nothing.
pub(crate) fn goes_back_before(wanted: &Wanted<'_>, times: impl Iterator<Item = Option<DateTime<Utc>>>) -> bool {
    let Some(times) = times.collect::<Option<Vec<_>>>() else { return false };
    times.is_sorted_by(|newer, older| newer >= older)
        && times.first() > times.last()
        && times.last().is_some_and(|oldest| *oldest < wanted.since - CLOCK_SLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_in_order_tells_where_a_list_is() {
        let at = |minutes| Some(DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes));
        let since = DateTime::UNIX_EPOCH + TimeDelta::minutes(100);
        let wanted = Wanted { tag: "t", file: None, since, requests: 1 };
        let goes_back = |times: &[_]| goes_back_before(&wanted, times.iter().copied());
        assert!(goes_back(&[at(120), at(101), at(89)]));
        assert!(!goes_back(&[at(120), at(91)]));
        assert!(!goes_back(&[at(89), at(120)]) && !goes_back(&[at(89), at(89)]));
        assert!(!goes_back(&[at(120), None, at(89)]) && !goes_back(&[]));
    }
}
