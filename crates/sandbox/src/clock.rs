//! The one place that asks for the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall time that never goes back: the start's wall time plus what has passed since.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_unix_ms: u64,
}

/// One moment, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// For the limits' windows.
    pub instant: Instant,
    /// For logs and headers.
    pub unix_ms: u64,
}

impl Clock {
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_unix_ms: whole_ms(since_epoch) }
    }

    pub fn now(&self) -> Moment {
        let instant = Instant::now();
        Moment { instant, unix_ms: self.started_unix_ms + whole_ms(instant - self.started) }
    }
}

fn whole_ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
