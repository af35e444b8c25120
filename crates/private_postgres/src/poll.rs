use std::thread;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(10);

/// Calls `check` every 10 ms until it gives a value; `None` when `limit` has passed without one.
pub(crate) fn until<T>(limit: Duration, mut check: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = check() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(INTERVAL);
    }
}
