//! Rate limits, counted at arrival in true sliding minutes for each bearer and model.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Model;
use crate::family::{RateLimit, Wait};

const WINDOW: Duration = Duration::from_mins(1);

/// The counts of all bearers and models.
#[derive(Default)]
pub(crate) struct Limiter {
    buckets: Mutex<HashMap<String, Bucket>>,
}

/// What one bearer uses of one model.
#[derive(Default)]
struct Bucket {
    /// Arrivals of the last minute, oldest first, with their tokens. Refused ones do not count.
    arrivals: VecDeque<(Instant, u64)>,
    /// The sum of their tokens.
    tokens: u64,
    running: u64,
}

/// An admitted request; it counts as running until this is dropped.
pub(crate) struct Permit {
    limiter: Arc<Limiter>,
    bucket: String,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Requests,
    Tokens,
}

/// How much of the limits that exist is left.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Levels {
    pub requests: Option<Level>,
    pub tokens: Option<Level>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    pub limit: u64,
    pub remaining: u64,
    /// Until nothing is used any more.
    pub reset: Duration,
}

/// A request over a limit.
#[derive(Debug)]
pub(crate) struct Refused {
    limit: Limit,
    detail: String,
    /// Until the same request would fit. None where time alone does not help.
    retry_after: Option<Duration>,
    pub levels: Levels,
}

impl Limiter {
    /// Counts a request of `tokens` tokens that arrives at `now`, if it is within the model's limits.
    pub fn admit(
        self: &Arc<Self>,
        (name, model): (&str, &Model),
        key: &str,
        tokens: u64,
        now: Instant,
    ) -> Result<(Permit, Levels), Refused> {
        let bucket_name = format!("{name}\n{key}");
        let mut buckets = self.lock();
        let bucket = buckets.entry(bucket_name.clone()).or_default();
        bucket.forget_before(now);
        if let Some((limit, detail, retry_after)) = bucket.refusal(model, tokens, now) {
            return Err(Refused {
                limit,
                detail: format!("for {name} on {detail}"),
                retry_after,
                levels: bucket.levels(model, now),
            });
        }
        if model.requests_per_minute.is_some() || model.tokens_per_minute.is_some() {
            bucket.arrivals.push_back((now, tokens));
            bucket.tokens += tokens;
        }
        bucket.running += 1;
        let permit = Permit { limiter: Arc::clone(self), bucket: bucket_name };
        Ok((permit, bucket.levels(model, now)))
    }

    /// Forgets all arrivals. Requests at work stay counted as running.
    pub fn clear(&self) {
        self.lock().retain(|_, bucket| {
            bucket.arrivals = VecDeque::new();
            bucket.tokens = 0;
            bucket.running > 0
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(bucket) = self.limiter.lock().get_mut(&self.bucket) {
            bucket.running = bucket.running.saturating_sub(1);
        }
    }
}

impl Bucket {
    fn forget_before(&mut self, now: Instant) {
        while let Some((_, tokens)) = self.arrivals.pop_front_if(|(at, _)| now - *at >= WINDOW) {
            self.tokens -= tokens;
        }
    }

    /// The first limit in the way, what it is called, and the wait for it.
    fn refusal(&self, model: &Model, tokens: u64, now: Instant) -> Option<(Limit, String, Option<Duration>)> {
        let used = self.arrivals.len() as u64;
        if let Some(limit) = model.requests_per_minute.filter(|&limit| used >= limit) {
            let detail = format!("requests per min (RPM): Limit {limit}, Used {used}, Requested 1");
            return Some((Limit::Requests, detail, self.wait(now, |freed, _| used - freed < limit)));
        }
        let wanted = self.tokens.saturating_add(tokens);
        if let Some(limit) = model.tokens_per_minute.filter(|&limit| wanted > limit) {
            let used = self.tokens;
            let detail = format!("tokens per min (TPM): Limit {limit}, Used {used}, Requested {tokens}");
            return Some((Limit::Tokens, detail, self.wait(now, |_, freed| wanted - freed <= limit)));
        }
        let limit = model.max_concurrency.filter(|&limit| self.running >= limit)?;
        let detail = format!("concurrent requests: Limit {limit}");
        Some((Limit::Requests, detail, None))
    }

    /// Until so many of the oldest requests, with so many tokens, are forgotten that it is enough.
    fn wait(&self, now: Instant, enough: impl Fn(u64, u64) -> bool) -> Option<Duration> {
        let (mut requests, mut tokens) = (0, 0);
        self.arrivals.iter().find_map(|(at, of_request)| {
            requests += 1;
            tokens += of_request;
            enough(requests, tokens).then(|| WINDOW.saturating_sub(now - *at))
        })
    }

    fn levels(&self, model: &Model, now: Instant) -> Levels {
        let newest = self.arrivals.back();
        let reset = newest.map_or(Duration::ZERO, |(at, _)| WINDOW.saturating_sub(now - *at));
        let level = |limit: u64, used: u64| Level { limit, remaining: limit.saturating_sub(used), reset };
        Levels {
            requests: model.requests_per_minute.map(|limit| level(limit, self.arrivals.len() as u64)),
            tokens: model.tokens_per_minute.map(|limit| level(limit, self.tokens)),
        }
    }
}

impl Refused {
    /// What it says, apart from the words.
    pub fn rate_limit(&self) -> RateLimit<'_> {
        let wait = self.retry_after.map_or(Wait::Unknown, Wait::Usual);
        RateLimit { limit: self.limit, detail: &self.detail, wait }
    }
}

/// In whole milliseconds, rounded up so that a wait of that long is enough.
pub(crate) fn ceil_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(requests: Option<u64>, tokens: Option<u64>, concurrency: Option<u64>) -> Model {
        Model {
            requests_per_minute: requests,
            tokens_per_minute: tokens,
            max_concurrency: concurrency,
            ..Model::default()
        }
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn requests_fit_again_when_the_oldest_is_a_minute_old() {
        let (limiter, model, start) = (Arc::new(Limiter::default()), model(Some(2), None, None), Instant::now());
        let admit = |seconds| limiter.admit(("m", &model), "k", 9, at(start, seconds)).map(|(_, levels)| levels);
        assert_eq!(admit(0).expect("first").requests.map(|level| level.remaining), Some(1));
        admit(10).expect("second");
        let refused = admit(20).expect_err("third");
        assert_eq!(refused.retry_after, Some(Duration::from_secs(40)));
        assert_eq!(refused.levels.requests.map(|level| level.reset), Some(Duration::from_secs(50)));
        admit(59).expect_err("still within the minute");
        admit(60).expect("the first has gone");
        admit(61).expect_err("the second has not");
    }

    #[test]
    fn tokens_are_counted_by_key_and_model() {
        let (limiter, model, start) = (Arc::new(Limiter::default()), model(None, Some(100), None), Instant::now());
        let admit = |name, key, tokens, seconds| {
            limiter
                .admit((name, &model), key, tokens, at(start, seconds))
                .map(|_| ())
                .map_err(|refused| refused.retry_after)
        };
        admit("m", "k", 60, 0).expect("fits");
        admit("m", "k", 30, 5).expect("fits");
        assert_eq!(admit("m", "k", 11, 6), Err(Some(Duration::from_secs(54))));
        assert_eq!(admit("m", "k", 71, 6), Err(Some(Duration::from_secs(59))));
        assert_eq!(admit("m", "k", 101, 6), Err(None), "no wait makes it fit");
        admit("m", "other", 100, 6).expect("another key");
        admit("n", "k", 100, 6).expect("another model");
        admit("m", "k", 70, 60).expect("the first has gone");
    }

    #[test]
    fn concurrency_is_freed_by_dropping_the_permit() {
        let (limiter, model, now) = (Arc::new(Limiter::default()), model(None, None, Some(1)), Instant::now());
        let (permit, _) = limiter.admit(("m", &model), "k", 1, now).expect("first");
        assert!(limiter.admit(("m", &model), "k", 1, now).is_err());
        drop(permit);
        assert!(limiter.admit(("m", &model), "k", 1, now).is_ok());
    }
}
