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
    /// Their requests, once they have a place in the queue.
    requests: u64,
}

/// Why a creation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Too many in an hour; fits again after so long.
    Creations { limit: u64, retry_after: Duration },
    /// Too many that have not ended.
    Batches { limit: u64 },
}

/// Requests and their tokens; or how many there may be, where there is a limit.
#[derive(Debug, Clone, Copy)]
struct Load<T = u64> {
    requests: T,
    tokens: T,
}

/// A place in the queue; given back when this is dropped.
pub(crate) struct Reserved {
    sandbox: Arc<Sandbox>,
    account: TokenAccount,
    load: Load,
}

impl Reserved {
    /// Reserves a place for the requests of a provider batch, if there is room for them.
    pub fn new(sandbox: &Arc<Sandbox>, batch: &ProviderBatch, index: &Index) -> Option<Self> {
        let account = (batch.wire.family(), batch.key.clone(), index.model.clone().unwrap_or_default());
        let config = sandbox.config();
        let requests = config.batch.max_queued_requests.or(batch.wire.rules().max_queued_requests);
        let limits = Load { requests, tokens: config.batch.max_enqueued_tokens };
        let load = Load { requests: index.len() as u64, tokens: index.tokens };
        let fits = sandbox.batches.queue.reserve(account.clone(), load, limits);
        fits.then(|| Self { sandbox: Arc::clone(sandbox), account, load })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.sandbox.batches.queue.release(&self.account, self.load);
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

    /// Counts requests and tokens, if there is room for them.
    fn reserve(&self, account: TokenAccount, load: Load, limits: Load<Option<u64>>) -> bool {
        let mut counts = self.counts();
        let Counts { accounts, tokens } = &mut *counts;
        let requests = &mut accounts.entry((account.0, account.1.clone())).or_default().requests;
        let tokens = tokens.entry(account).or_default();
        let wanted =
            Load { requests: requests.saturating_add(load.requests), tokens: tokens.saturating_add(load.tokens) };
        let fits = limits.requests.is_none_or(|limit| wanted.requests <= limit)
            && limits.tokens.is_none_or(|limit| wanted.tokens <= limit);
        if fits {
            (*requests, *tokens) = (wanted.requests, wanted.tokens);
        }
        fits
    }

    /// Gives requests and tokens back.
    fn release(&self, account: &TokenAccount, load: Load) {
        let mut counts = self.counts();
        if let Some(held) = counts.accounts.get_mut(&(account.0, account.1.clone())) {
            held.requests = held.requests.saturating_sub(load.requests);
        }
        if let Some(held) = counts.tokens.get_mut(account) {
            *held = held.saturating_sub(load.tokens);
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
        let limits = Load { requests: Some(9), tokens: Some(100) };
        let reserve = |model, requests, tokens| queue.reserve(account(model), Load { requests, tokens }, limits);
        assert!(reserve("m", 1, 60));
        assert!(!reserve("m", 1, 41));
        assert!(reserve("n", 8, 41), "another model");
        assert!(!reserve("n", 1, 0), "the requests of all models");
        assert_eq!(queue.tokens(), 101);
        queue.release(&account("m"), Load { requests: 1, tokens: 60 });
        assert!(reserve("m", 1, 100));
    }
}
