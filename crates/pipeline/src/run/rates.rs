//! Requests and tokens a minute, of this process alone.

use std::num::NonZeroU32;

use domain::provider::RealtimeLimits;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Each bucket gives a little less than the limit a minute, so that with what it may give at once the limit holds in any minute,
/// not only on average.
pub(crate) struct Rates {
    requests: Option<DefaultDirectRateLimiter>,
    input_tokens: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
}

impl Rates {
    pub(crate) fn new(limits: &RealtimeLimits) -> Self {
        Self {
            requests: limits.requests_per_minute.map(|limit| RateLimiter::direct(quota(limit, 60).0)),
            input_tokens: limits.input_tokens_per_minute.map(|limit| {
                let (quota, burst) = quota(limit, 6);
                (RateLimiter::direct(quota), burst)
            }),
        }
    }

    /// Waits for one request of so many estimated input tokens.
    pub(crate) async fn wait(&self, tokens: u32) {
        if let Some(requests) = &self.requests {
            requests.until_ready().await;
        }
        if let (Some((limiter, burst)), Some(tokens)) = (&self.input_tokens, NonZeroU32::new(tokens)) {
            // A request above the burst takes all of it: it could never pass otherwise.
            let fits = limiter.until_n_ready(tokens.min(*burst)).await;
            fits.expect("at most the burst was asked for");
        }
    }
}

/// At once `limit / share`, and the rest evenly over the minute.
fn quota(limit: u32, share: u32) -> (Quota, NonZeroU32) {
    let limit = limit.max(1);
    let burst = NonZeroU32::new(limit / share).unwrap_or(NonZeroU32::MIN);
    let steady = NonZeroU32::new(limit.saturating_sub(burst.get())).unwrap_or(NonZeroU32::MIN);
    (Quota::per_minute(steady).allow_burst(burst), burst)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_minute_never_holds_more_than_the_limit() {
        for (limit, share) in [(1, 60), (59, 60), (60, 60), (600, 60), (10_000, 60), (60_000, 6)] {
            let (quota, burst) = quota(limit, share);
            let steady = Duration::from_mins(1).as_nanos() / quota.replenish_interval().as_nanos();
            assert!(steady + u128::from(burst.get()) <= u128::from(limit) + 1, "{limit} a minute");
        }
    }
}
