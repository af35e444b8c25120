//! The states of a job and every legal change between them.

use std::fmt;

/// A state that a paused job may return to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PausedFrom {
    Queued,
    Planning,
    Running,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Accepted. The worker that claims its plan step moves it on.
    Queued,
    /// Its input is being read. The end of the plan step moves it on.
    Planning,
    /// Its rows go to the provider. The last chunk to be sealed moves it on.
    Running,
    /// Its parts become one object. The assemble step moves it on.
    Merging,
    /// Stands still until somebody resumes it.
    Paused(PausedFrom),
    /// Cancelled by somebody, and not yet finished: dispatches settle, chunks are sealed, parts are assembled.
    Cancelling,
    /// Its deadline has passed; otherwise as cancelling.
    Expiring,
    /// Every row was run, whether it succeeded or not.
    Completed,
    /// The job itself could not go on.
    Failed,
    Cancelled,
    Expired,
}

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    PlanStarted,
    PlanEnded,
    /// The last chunk was sealed.
    Sealed,
    /// The output is visible.
    Assembled,
    Pause,
    Resume,
    Cancel,
    DeadlinePassed,
    /// A step found that the job can't go on.
    Fail,
}

/// An event that means nothing in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state} can't take {event:?}")]
pub struct InvalidTransition {
    pub state: State,
    pub event: Event,
}

impl State {
    /// The state after an event.
    ///
    /// # Errors
    /// The event has no meaning in this state. A repeated cancel of a cancelled job is one: callers answer it as done.
    pub fn after(self, event: Event) -> Result<Self, InvalidTransition> {
        use Event::{Assembled, Cancel, DeadlinePassed, Fail, Pause, PlanEnded, PlanStarted, Resume, Sealed};
        let next = match (self, event) {
            (Self::Queued, PlanStarted) => Self::Planning,
            (Self::Queued, Pause) => Self::Paused(PausedFrom::Queued),
            (Self::Queued, Cancel) => Self::Cancelled,
            (Self::Queued, DeadlinePassed) => Self::Expired,
            (Self::Queued, Fail) => Self::Failed,

            // A worker that died left the job planning; the next one starts its step again.
            (Self::Planning, PlanStarted) => Self::Planning,
            (Self::Planning, PlanEnded) => Self::Running,
            (Self::Planning, Pause) => Self::Paused(PausedFrom::Planning),
            // Nothing was sent and not all rows are known, so there is nothing to merge.
            (Self::Planning, Cancel) => Self::Cancelled,
            (Self::Planning, DeadlinePassed) => Self::Expired,
            (Self::Planning, Fail) => Self::Failed,

            (Self::Running, Sealed) => Self::Merging,
            (Self::Running, Pause) => Self::Paused(PausedFrom::Running),
            (Self::Running, Cancel) => Self::Cancelling,
            (Self::Running, DeadlinePassed) => Self::Expiring,
            (Self::Running, Fail) => Self::Failed,

            (Self::Paused(PausedFrom::Queued), Resume) => Self::Queued,
            (Self::Paused(PausedFrom::Planning), Resume) => Self::Planning,
            (Self::Paused(PausedFrom::Running), Resume) => Self::Running,
            (Self::Paused(PausedFrom::Queued | PausedFrom::Planning), Cancel) => Self::Cancelled,
            (Self::Paused(PausedFrom::Queued | PausedFrom::Planning), DeadlinePassed) => Self::Expired,
            (Self::Paused(PausedFrom::Running), Cancel) => Self::Cancelling,
            (Self::Paused(PausedFrom::Running), DeadlinePassed) => Self::Expiring,
            // The rows in flight when it was paused were its last.
            (Self::Paused(PausedFrom::Running), Sealed) => Self::Merging,
            (Self::Paused(_), Fail) => Self::Failed,

            (Self::Merging, Assembled) => Self::Completed,
            (Self::Merging, Fail) => Self::Failed,

            (Self::Cancelling, Sealed) => Self::Cancelling,
            (Self::Cancelling, Assembled) => Self::Cancelled,
            (Self::Cancelling, Fail) => Self::Failed,

            (Self::Expiring, Sealed) => Self::Expiring,
            (Self::Expiring, Assembled) => Self::Expired,
            (Self::Expiring, Fail) => Self::Failed,

            (Self::Queued, PlanEnded | Sealed | Assembled | Resume)
            | (Self::Planning, Sealed | Assembled | Resume)
            | (Self::Running, PlanStarted | PlanEnded | Assembled | Resume)
            | (Self::Paused(PausedFrom::Queued | PausedFrom::Planning), Sealed)
            | (Self::Paused(_), PlanStarted | PlanEnded | Assembled | Pause)
            | (Self::Merging, PlanStarted | PlanEnded | Sealed | Pause | Resume | Cancel | DeadlinePassed)
            | (Self::Cancelling | Self::Expiring, PlanStarted | PlanEnded | Pause | Resume | Cancel | DeadlinePassed)
            | (
                Self::Completed | Self::Failed | Self::Cancelled | Self::Expired,
                PlanStarted | PlanEnded | Sealed | Assembled | Pause | Resume | Cancel | DeadlinePassed | Fail,
            ) => return Err(InvalidTransition { state: self, event }),
        };
        Ok(next)
    }

    /// The states in which an event has a meaning, for the message of a refusal.
    pub fn allowing(event: Event) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |state| state.after(event).is_ok())
    }

    pub const ALL: [Self; 13] = [
        Self::Queued,
        Self::Planning,
        Self::Running,
        Self::Merging,
        Self::Paused(PausedFrom::Queued),
        Self::Paused(PausedFrom::Planning),
        Self::Paused(PausedFrom::Running),
        Self::Cancelling,
        Self::Expiring,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// No event leads out of a terminal state.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled | Self::Expired => true,
            Self::Queued
            | Self::Planning
            | Self::Running
            | Self::Merging
            | Self::Paused(_)
            | Self::Cancelling
            | Self::Expiring => false,
        }
    }

    /// As the public API and the database call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Running => "running",
            Self::Merging => "merging",
            Self::Paused(_) => "paused",
            Self::Cancelling => "cancelling",
            Self::Expiring => "expiring",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state that a paused job returns to, by name.
    pub fn paused_from(self) -> Option<&'static str> {
        match self {
            Self::Paused(PausedFrom::Queued) => Some("queued"),
            Self::Paused(PausedFrom::Planning) => Some("planning"),
            Self::Paused(PausedFrom::Running) => Some("running"),
            Self::Queued
            | Self::Planning
            | Self::Running
            | Self::Merging
            | Self::Cancelling
            | Self::Expiring
            | Self::Completed
            | Self::Failed
            | Self::Cancelled
            | Self::Expired => None,
        }
    }

    /// From the two names.
    pub fn from_names(name: &str, paused_from: Option<&str>) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name && state.paused_from() == paused_from)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 9] = [
        Event::PlanStarted,
        Event::PlanEnded,
        Event::Sealed,
        Event::Assembled,
        Event::Pause,
        Event::Resume,
        Event::Cancel,
        Event::DeadlinePassed,
        Event::Fail,
    ];

    #[test]
    fn no_terminal_state_has_an_exit() {
        for state in State::ALL {
            let exits = EVENTS.iter().filter(|event| state.after(**event).is_ok()).count();
            assert_eq!(exits == 0, state.is_terminal(), "{state:?}");
        }
    }

    #[test]
    fn every_state_survives_its_names() {
        for state in State::ALL {
            assert_eq!(State::from_names(state.name(), state.paused_from()), Some(state));
        }
        assert_eq!(State::from_names("paused", None), None);
    }

    #[test]
    fn resume_undoes_pause() {
        for state in State::ALL {
            if let Ok(paused) = state.after(Event::Pause) {
                assert_eq!(paused.after(Event::Resume), Ok(state));
            }
        }
    }

    #[test]
    fn every_open_state_reaches_an_end() {
        for mut state in State::ALL {
            for event in [Event::Cancel, Event::Sealed, Event::Assembled] {
                state = state.after(event).unwrap_or(state);
            }
            assert!(state.is_terminal(), "{state:?}");
        }
    }
}
