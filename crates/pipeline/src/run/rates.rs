//! Requests and tokens a minute, of this process alone.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::provider::RealtimeLimits;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Mutex;

/// Each bucket gives a little less than the limit a minute, so that with what it may give at once the limit holds in any minute,
/// not only on average.
pub(crate) struct Rates {
    requests: Option<DefaultDirectRateLimiter>,
    input_tokens: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
    /// Whose request's tokens are being waited for.
    turn: Mutex<()>,
}

impl Rates {
    pub(crate) fn new(limits: &RealtimeLimits) -> Self {
        Self {
            requests: limits.requests_per_minute.map(|limit| RateLimiter::direct(quota(limit).0)),
            input_tokens: limits.input_tokens_per_minute.map(|limit| {
                let (quota, burst) = quota(limit);
                (RateLimiter::direct(quota), burst)
            }),
            turn: Mutex::default(),
        }
    }

    /// Waits for one request of so many estimated input tokens.
    pub(crate) async fn wait(&self, tokens: u32) {
        if let Some(requests) = &self.requests {
            requests.until_ready().await;
        }
        if let Some((limiter, burst)) = &self.input_tokens {
            // A request above the burst is paid in instalments; nobody gets in between.
            let _turn = self.turn.lock().await;
            let mut left = tokens;
            while let Some(instalment) = NonZeroU32::new(left.min(burst.get())) {
                limiter.until_n_ready(instalment).await.expect("no instalment is above the burst");
                left -= instalment.get();
            }
        }
    }
}

/// Nanoseconds.
const MINUTE: u64 = 60_000_000_000;

/// At once a second's worth, and the rest evenly over the minute.
fn quota(limit: u32) -> (Quota, NonZeroU32) {
    let limit = limit.max(1);
    let burst = NonZeroU32::new(limit / 60).unwrap_or(NonZeroU32::MIN);
    let steady = NonZeroU32::new(limit.saturating_sub(burst.get())).unwrap_or(NonZeroU32::MIN);
    // Rounded up: nanoseconds cut off would add up to more than the limit.
    let period = Duration::from_nanos(MINUTE.div_ceil(u64::from(steady.get())));
    (Quota::with_period(period).expect("a period is never zero").allow_burst(burst), burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_never_holds_more_than_the_limit() {
        for limit in [1, 59, 60, 600, 10_000, 2_000_000] {
            let (quota, burst) = quota(limit);
            let steady = Duration::from_mins(1).as_nanos() / quota.replenish_interval().as_nanos();
            assert!(steady + u128::from(burst.get()) <= u128::from(limit) + 1, "{limit} a minute");
        }
    }
}
