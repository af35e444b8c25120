//! Which calls and provider batches a configured fault meets, by count.

use std::sync::{Mutex, PoisonError};

use super::fault::{CallFault, Operation, OperationFault};
use super::outcome::{ConfiguredOutcome, Outcome};

/// Which of the occasions on which an entry is asked it meets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct When {
    pub times: Option<u32>,
    pub every_nth: Option<u32>,
    pub skip: Option<u32>,
}

/// How often each entry of a list was asked and met.
#[derive(Debug, Default)]
pub(super) struct Occasions(Mutex<Vec<Count>>);

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    asked: u32,
    met: u32,
}

impl When {
    pub fn validate(self) -> Result<(), &'static str> {
        if self.every_nth == Some(0) { Err("every_nth must be at least 1") } else { Ok(()) }
    }

    fn applies(self, count: &mut Count) -> bool {
        count.asked = count.asked.saturating_add(1);
        let past = count.asked.saturating_sub(self.skip.unwrap_or(0));
        let applies = past > 0
            && past.is_multiple_of(self.every_nth.unwrap_or(1))
            && self.times.is_none_or(|times| count.met < times);
        count.met += u32::from(applies);
        applies
    }
}

impl Occasions {
    /// The fault of the next call of this kind.
    pub fn fault(&self, faults: &[OperationFault], op: Operation) -> Option<CallFault> {
        self.first(faults, |fault| (fault.op == op).then(|| fault.when())).map(|(_, fault)| fault.fault)
    }

    /// What becomes of the next provider batch, and its place in the list.
    pub fn outcome(&self, outcomes: &[ConfiguredOutcome]) -> Option<(usize, Outcome, f64)> {
        let (index, outcome) = self.first(outcomes, |outcome| Some(outcome.when()))?;
        Some((index, outcome.outcome, outcome.done_fraction))
    }

    /// Nothing came of the provider batch: the next one may have its outcome.
    pub fn take_back(&self, index: usize) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(index) {
            count.asked = count.asked.saturating_sub(1);
            count.met = count.met.saturating_sub(1);
        }
    }

    /// The first entry that applies, and its place. Those after it are not asked.
    fn first<'a, T>(&self, entries: &'a [T], when: impl Fn(&T) -> Option<When>) -> Option<(usize, &'a T)> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.resize(entries.len(), Count::default());
        let mut asked = entries.iter().zip(counts.iter_mut()).enumerate();
        asked.find_map(|(index, (entry, count))| when(entry)?.applies(count).then_some((index, entry)))
    }

    /// Counts anew.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(when: When, occasions: u32) -> Vec<u32> {
        let counts = Occasions::default();
        (1..=occasions).filter(|_| counts.first(&[when], |when| Some(*when)).is_some()).collect()
    }

    #[test]
    fn occasions_are_chosen_by_count() {
        assert_eq!(met(When::default(), 3), [1, 2, 3]);
        assert_eq!(met(When { times: Some(2), ..When::default() }, 9), [1, 2]);
        assert_eq!(met(When { every_nth: Some(3), ..When::default() }, 9), [3, 6, 9]);
        assert_eq!(met(When { skip: Some(1), times: Some(1), ..When::default() }, 9), [2]);
        assert_eq!(met(When { skip: Some(1), every_nth: Some(2), times: Some(2) }, 9), [3, 5]);
    }

    #[test]
    fn first_entry_that_applies_is_met_and_the_next_comes_after_it() {
        let once = When { times: Some(1), ..When::default() };
        let (entries, counts) = ([(1, once), (2, once)], Occasions::default());
        let next = || counts.first(&entries, |(_, when)| Some(*when)).map(|(_, (name, _))| *name);
        assert_eq!([next(), next(), next()], [Some(1), Some(2), None]);
    }
}
