//! Whether calls may be sent at all: what stopped a limit group, and who tries whether it works again.

use std::sync::Arc;
use std::time::Duration;

use domain::provider::LimitGroup;
use tokio::sync::watch;
use tokio::time::Instant;

/// A limit group's gate in this process.
pub(super) struct Gate {
    name: LimitGroup,
    state: watch::Sender<State>,
    probe_interval: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Open,
    /// The provider asked for patience.
    Cooldown {
        until: Instant,
    },
    /// No call can work. From `until` on, one may try.
    Paused {
        until: Instant,
    },
    /// One call is trying.
    Probing,
}

/// The one call that tries whether a paused group works again. Dropped undecided, it lets another one try.
pub(super) struct Probe {
    gate: Arc<Gate>,
    decided: bool,
}

impl Gate {
    pub(super) fn new(name: LimitGroup, is_paused: bool, probe_interval: Duration) -> Self {
        // Somebody else found it paused: try at once, as it may work by now.
        let state = if is_paused { State::Paused { until: Instant::now() } } else { State::Open };
        Self { name, state: watch::Sender::new(state), probe_interval }
    }

    /// Whether no call can work, as far as is known.
    pub(super) fn stands_still(&self) -> bool {
        match *self.state.borrow() {
            State::Open | State::Cooldown { .. } => false,
            State::Paused { .. } | State::Probing => true,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        *self.state.borrow() == State::Open
    }

    /// Waits until calls may be sent, or this one as a probe.
    pub(super) async fn pass(self: &Arc<Self>) -> Option<Probe> {
        let mut state = self.state.subscribe();
        loop {
            let until = match *state.borrow_and_update() {
                State::Open => return None,
                State::Cooldown { until } | State::Paused { until } => Some(until),
                State::Probing => None,
            };
            match until {
                Some(until) if until <= Instant::now() => {
                    if let Some(is_probe) = self.try_pass() {
                        return is_probe.then(|| Probe { gate: self.clone(), decided: false });
                    }
                }
                Some(until) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => {}
                        _ = state.changed() => {}
                    }
                }
                None => {
                    // The sender lives in `self`, so this fails never.
                    let _ = state.changed().await;
                }
            }
        }
    }

    /// After a wait: opens a cooldown, or takes the one probe of a pause.
    fn try_pass(&self) -> Option<bool> {
        let mut passed = None;
        self.state.send_if_modified(|state| {
            let now = Instant::now();
            match *state {
                State::Open => passed = Some(false),
                State::Cooldown { until } if until <= now => {
                    *state = State::Open;
                    passed = Some(false);
                    return true;
                }
                State::Paused { until } if until <= now => {
                    *state = State::Probing;
                    passed = Some(true);
                    return true;
                }
                State::Cooldown { .. } | State::Paused { .. } | State::Probing => {}
            }
            false
        });
        passed
    }

    /// Nobody sends for so long. Returns whether that is news.
    pub(super) fn cool_down(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        self.state.send_if_modified(|state| match *state {
            State::Open => {
                *state = State::Cooldown { until };
                true
            }
            State::Cooldown { until: before } if before < until => {
                *state = State::Cooldown { until };
                true
            }
            State::Cooldown { .. } | State::Paused { .. } | State::Probing => false,
        })
    }

    /// No call can work until somebody mends something: one tries every `probe_interval`.
    pub(super) fn pause(&self) {
        self.state.send_replace(State::Paused { until: Instant::now() + self.probe_interval });
    }
}

impl Probe {
    /// Calls work again.
    pub(super) fn succeeded(mut self) {
        self.decided = true;
        tracing::info!(limit_group = self.gate.name.0, "limit group goes on");
        self.gate.state.send_replace(State::Open);
    }

    /// It is not known whether calls work, or it is known that they don't: the next one tries in a while.
    pub(super) fn failed(mut self) {
        self.decided = true;
        self.gate.pause();
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.decided {
            self.gate.state.send_replace(State::Paused { until: Instant::now() });
        }
    }
}
