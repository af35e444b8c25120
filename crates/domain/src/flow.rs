//! What the workers of a limit group share: one small value in the database, changed under its row's lock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::breaker::Breaker;
use crate::permits::Permits;
use crate::retry_budget::RetryBudget;

/// The shared state of a limit group on the real-time route. Times are since the epoch, by the database's clock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flow {
    pub permits: Permits,
    pub breaker: Breaker,
    pub budget: RetryBudget,
    /// The provider asked for patience: nobody sends before then.
    pub cooldown: Duration,
}

impl Flow {
    /// Whether it was written at a later time than this one: the database's clock has been set back, and no time in it means anything.
    pub fn is_ahead_of(&self, now: Duration) -> bool {
        self.permits.at() > now + Duration::from_secs(1)
    }
}
