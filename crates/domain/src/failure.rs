//! Which failures count, and what follows: one table for every driver and both routes.

use std::time::Duration;

use crate::outcome::ItemError;

/// How a failed attempt is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The provider asks for patience: rate limit, enqueued-token limit, overload, expiry of a provider batch.
    Wait,
    /// No call with this credential and model can work now: 401, 403, exhausted quota, spend limit, unknown model.
    KeyLevel,
    /// Other 5xx, timeout, reset, malformed or oversized reply, missing result.
    Transient,
    /// Other 4xx, context too long, unsupported parameter: the same request can't succeed.
    Permanent,
    /// Content filter or refusal; billed.
    Refusal,
    /// The answer breaks the response schema or a hook.
    Invalid,
}

/// A failed attempt, as a driver saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: Class,
    pub error: ItemError,
    /// What the provider asked to wait; already clamped to [`crate::backoff::MAX_RETRY_AFTER`].
    pub retry_after: Option<Duration>,
    /// A permanent code that the driver knows to be spurious at times: repeated once.
    pub spurious: bool,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send again, after a backoff.
    Again,
    /// The row stays as it is; its limit group stands still until a probe succeeds.
    Pause,
    /// The row fails.
    DeadLetter,
}

/// A row's attempts that ended in failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that count against `max_attempts`.
    pub counted: u32,
    /// All.
    pub total: u32,
}

impl Class {
    /// Whether such an attempt counts against `max_attempts`.
    pub fn counts(self) -> bool {
        match self {
            Self::Transient | Self::Invalid => true,
            Self::Wait | Self::KeyLevel | Self::Permanent | Self::Refusal => false,
        }
    }
}

impl Failure {
    pub fn new(class: Class, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class, error: ItemError::new(code, message), retry_after: None, spurious: false }
    }

    /// What follows, where `tally` already includes this attempt.
    pub fn next(&self, tally: Tally, max_attempts: u32) -> Next {
        match self.class {
            Class::Wait => Next::Again,
            Class::KeyLevel => Next::Pause,
            Class::Transient | Class::Invalid if tally.counted < max_attempts => Next::Again,
            Class::Permanent if self.spurious && tally.total < 2 => Next::Again,
            Class::Transient | Class::Invalid | Class::Permanent | Class::Refusal => Next::DeadLetter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(class: Class, counted: u32, total: u32) -> Next {
        Failure::new(class, "code", "message").next(Tally { counted, total }, 3)
    }

    #[test]
    fn waiting_never_costs_a_row_an_attempt() {
        assert_eq!(next(Class::Wait, 0, 1_000_000), Next::Again);
        assert_eq!(next(Class::KeyLevel, 0, 1_000_000), Next::Pause);
        assert!(!Class::Wait.counts() && !Class::KeyLevel.counts());
    }

    #[test]
    fn transient_failures_end_at_max_attempts() {
        assert_eq!(next(Class::Transient, 2, 2), Next::Again);
        assert_eq!(next(Class::Transient, 3, 3), Next::DeadLetter);
    }

    #[test]
    fn permanent_failures_end_at_once() {
        assert_eq!(next(Class::Permanent, 0, 1), Next::DeadLetter);
        assert_eq!(next(Class::Refusal, 0, 1), Next::DeadLetter);
    }

    #[test]
    fn a_spurious_code_is_repeated_once() {
        let failure = Failure { spurious: true, ..Failure::new(Class::Permanent, "code", "message") };
        assert_eq!(failure.next(Tally { counted: 0, total: 1 }, 3), Next::Again);
        assert_eq!(failure.next(Tally { counted: 0, total: 2 }, 3), Next::DeadLetter);
    }
}
