//! Whose turn it is, and how much of what there is belongs to whom.

use super::pace::{may_join, steady};
use super::{Hold, Limits, Permits, Resource};

/// The part of a limit of output tokens that is aimed at: when an answer ends and how long it is can only be guessed.
const OUTPUT: f64 = 0.98;

/// Whether a worker holds rates.
pub(super) enum Turn {
    Mine,
    /// There is no room beside those who hold some.
    Wait,
    /// There would be, but somebody waits who has no room beside this one.
    GiveWay,
}

impl Permits {
    /// Where calls are so large that there is not room for all, workers take turns.
    pub(super) fn turn(&self, limits: &Limits, hold: &Hold) -> Turn {
        let mut turn = Turn::Mine;
        for (index, limit) in (0..3).filter_map(|index| Some((index, limits.per_minute[index]?))) {
            let others: f64 = self.active().map(|other| other.largest[index]).sum();
            let mine = hold.largest[index];
            let mut waiting = self.holds.iter().filter(|other| other.waits);
            if !may_join(limit, others, mine) {
                return Turn::Wait;
            }
            if waiting.any(|other| !may_join(limit, others + mine, other.largest[index])) {
                turn = Turn::GiveWay;
            }
        }
        turn
    }

    /// The blocks that have rates.
    pub(super) fn active(&self) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(|hold| !hold.waits)
    }

    /// The steady rate of one resource, and the worker's part of it: equal, but nobody's is more than it wants.
    pub(super) fn part(&self, limits: &Limits, index: usize, limit: f64, hold: &Hold) -> (f64, f64) {
        let all = self.steady(limits, index, limit, hold.largest[index]);
        (all, equal_part(all, self.active().map(|other| other.wants[index]).chain([hold.wants[index]])))
    }

    /// Calls in flight that a worker may have, and never less than it has already.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the limit")]
    pub(super) fn calls(&self, limits: &Limits, hold: &Hold, in_flight: u32) -> u32 {
        let Some(limit) = limits.calls else {
            return hold.calls_wanted;
        };
        let wanted = self.holds.iter().map(|other| other.calls_wanted).chain([hold.calls_wanted]);
        let part = equal_part(limit.into(), wanted.map(f64::from)).clamp(1.0, f64::from(limit.max(1))) as u32;
        let free = limit.saturating_sub(self.holds.iter().map(|other| other.calls).sum());
        hold.calls_wanted.min(part).max(in_flight).min(free)
    }

    pub(super) fn steady(&self, limits: &Limits, index: usize, limit: f64, mine: f64) -> f64 {
        let largest: f64 = self.active().map(|hold| hold.largest[index]).sum::<f64>() + mine;
        let of_minute = limits.per_minute[index].map(|limit| match Resource::ALL[index] {
            Resource::Requests | Resource::InputTokens => steady(limit, largest),
            Resource::OutputTokens => OUTPUT * steady(limit, largest),
        });
        let found = limits.found(index).map(|limit| limit / 60.0);
        of_minute.into_iter().chain(found).fold(limit / 60.0, f64::min)
    }
}

/// The most that each may have where nobody has more than it wants and all have the same otherwise.
fn equal_part(all: f64, wants: impl Iterator<Item = f64>) -> f64 {
    let mut wants: Vec<f64> = wants.collect();
    wants.sort_by(f64::total_cmp);
    let mut left = all;
    for (index, want) in wants.iter().enumerate() {
        let equal = left / f64::from(u32::try_from(wants.len() - index).unwrap_or(u32::MAX));
        if *want >= equal {
            return equal;
        }
        left -= want;
    }
    all
}
