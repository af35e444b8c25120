//! What bearers have in the queue, and how much may be there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::record::ProviderBatch;
use super::validate::Index;
use crate::state::Sandbox;

const HOUR: Duration = Duration::from_hours(1);

/// Counts of all families and bearers.
#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By family and bearer.
    accounts: HashMap<(&'static str, String), Account>,
    tokens: HashMap<TokenAccount, u64>,
}

/// Family, bearer and model.
type TokenAccount = (&'static str, String, String);

#[derive(Debug, Default)]
struct Account {
    /// Creations of the last hour, oldest first.
    created: VecDeque<Instant>,
    /// Provider batches that have not ended.
    open: u64,
}

/// Why a creation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Too many in an hour; fits again after so long.
    Creations { limit: u64, retry_after: Duration },
    /// Too many that have not ended.
    Batches { limit: u64 },
}

/// Tokens in the queue; given back when this is dropped.
pub(crate) struct Reserved {
    sandbox: Arc<Sandbox>,
    account: TokenAccount,
    tokens: u64,
}

impl Reserved {
    /// Reserves the tokens of a provider batch, if there is room for them.
    pub fn new(sandbox: &Arc<Sandbox>, batch: &ProviderBatch, index: &Index) -> Option<Self> {
        let account = (batch.wire.family(), batch.key.clone(), index.model.clone().unwrap_or_default());
        let limit = sandbox.config().batch.max_enqueued_tokens;
        let tokens = index.tokens;
        let fits = sandbox.batches.queue.reserve(account.clone(), tokens, limit);
        fits.then(|| Self { sandbox: Arc::clone(sandbox), account, tokens })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.sandbox.batches.queue.release(&self.account, self.tokens);
    }
}

impl Queue {
    /// Counts a creation, if it is within the limits.
    pub fn enter(
        &self,
        (family, key): (&'static str, &str),
        creates_per_hour: Option<u64>,
        max_batches: Option<u64>,
        now: Instant,
    ) -> Result<(), Full> {
        let mut counts = self.counts();
        let account = counts.accounts.entry((family, key.to_owned())).or_default();
        while account.created.pop_front_if(|at| now.saturating_duration_since(*at) >= HOUR).is_some() {}
        if let Some(limit) = creates_per_hour.filter(|&limit| account.created.len() as u64 >= limit) {
            let oldest = account.created.front().map_or(now, |at| *at);
            let retry_after = HOUR.saturating_sub(now.saturating_duration_since(oldest));
            return Err(Full::Creations { limit, retry_after });
        }
        if let Some(limit) = max_batches.filter(|&limit| account.open >= limit) {
            return Err(Full::Batches { limit });
        }
        account.created.push_back(now);
        account.open += 1;
        Ok(())
    }

    /// A provider batch has ended.
    pub fn leave(&self, (family, key): (&'static str, &str)) {
        if let Some(account) = self.counts().accounts.get_mut(&(family, key.to_owned())) {
            account.open = account.open.saturating_sub(1);
        }
    }

    /// Counts tokens, if there is room for them.
    fn reserve(&self, account: TokenAccount, tokens: u64, limit: Option<u64>) -> bool {
        let mut counts = self.counts();
        let held = counts.tokens.entry(account).or_default();
        if limit.is_some_and(|limit| held.saturating_add(tokens) > limit) {
            return false;
        }
        *held = held.saturating_add(tokens);
        true
    }

    /// Gives tokens back.
    fn release(&self, account: &TokenAccount, tokens: u64) {
        if let Some(held) = self.counts().tokens.get_mut(account) {
            *held = held.saturating_sub(tokens);
        }
    }

    /// Tokens of all bearers and models.
    pub fn tokens(&self) -> u64 {
        self.counts().tokens.values().sum()
    }

    /// Forgets the creations of the last hour. What has not ended stays counted.
    pub fn clear(&self) {
        for account in self.counts().accounts.values_mut() {
            account.created = VecDeque::new();
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creations_fit_again_when_the_oldest_is_an_hour_old() {
        let (queue, start) = (Queue::default(), Instant::now());
        let enter = |key, minutes| queue.enter(("f", key), Some(2), None, start + Duration::from_mins(minutes));
        enter("k", 0).expect("first");
        enter("k", 10).expect("second");
        let full = Full::Creations { limit: 2, retry_after: Duration::from_mins(40) };
        assert_eq!(enter("k", 20), Err(full));
        enter("other", 20).expect("another bearer");
        enter("k", 60).expect("the first has gone");
    }

    #[test]
    fn open_provider_batches_and_tokens_are_given_back() {
        let (queue, now) = (Queue::default(), Instant::now());
        queue.enter(("f", "k"), None, Some(1), now).expect("first");
        assert_eq!(queue.enter(("f", "k"), None, Some(1), now), Err(Full::Batches { limit: 1 }));
        queue.leave(("f", "k"));
        queue.enter(("f", "k"), None, Some(1), now).expect("the first has ended");

        let account = |model: &str| ("f", "k".to_owned(), model.to_owned());
        assert!(queue.reserve(account("m"), 60, Some(100)));
        assert!(!queue.reserve(account("m"), 41, Some(100)));
        assert!(queue.reserve(account("n"), 41, Some(100)), "another model");
        assert_eq!(queue.tokens(), 101);
        queue.release(&account("m"), 60);
        assert!(queue.reserve(account("m"), 100, Some(100)));
    }
}
