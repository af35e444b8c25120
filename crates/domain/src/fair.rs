//! Whose the next permits of a limit group are: weighted deficit round robin by estimated tokens, over tenants, then over each one's jobs.
//!
//! Each turn gives a tenant credit of its weight × a quantum, and it is served until that is used up; within it the same is done over its
//! jobs. A row is never larger than the credit that it waits for, because credit adds up over the turns: nothing starves, whatever its
//! size or weight. A tenant or job without work gives up its credit, so that nobody saves up for later. A tenant that had no work for a
//! minute is served first, up to a head start, so that a small job of it is hardly slower than alone.

mod ring;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::ring::{Entry, QUANTUM, next_turn};

/// How long a tenant must have had no work to be served first.
const REST: Duration = Duration::from_mins(1);
/// How much a near deadline raises a job's weight at most.
const MOST_URGENT: f64 = 4.0;

/// What a job asks for; a weight among its tenant's jobs, never strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

impl Priority {
    pub fn weight(self) -> f64 {
        match self {
            Self::Low => 1.0,
            Self::Normal => 4.0,
            Self::High => 16.0,
        }
    }
}

/// A job's weight: its priority's, up to fourfold where at its present pace it would need longer than it has.
///
/// `needed` is how long its open rows would take at the pace of late; `None` while that is not known.
pub fn job_weight(priority: Priority, needed: Option<Duration>, time_left: Duration) -> f64 {
    let urgency = needed.map_or(1.0, |needed| needed.as_secs_f64() / time_left.as_secs_f64().max(1.0));
    priority.weight() * urgency.clamp(1.0, MOST_URGENT)
}

/// Rows of a job that could be sent now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work<T, J> {
    pub tenant: T,
    /// Above 0, as its tenant's record has it.
    pub tenant_weight: f64,
    pub job: J,
    /// By [`job_weight`].
    pub job_weight: f64,
    pub rows: u64,
    /// Estimated tokens of one row, input and output.
    pub row_tokens: u64,
}

/// A part of what is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<T, J> {
    pub tenant: T,
    pub job: J,
    pub rows: u64,
    pub tokens: u64,
}

/// Whose turn it is in one limit group. A small value, for the group's row in the database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fair<T, J> {
    tenants: Vec<Tenant<T, J>>,
    /// Index of the tenant whose turn it is.
    turn: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tenant<T, J> {
    id: T,
    weight: f64,
    credit: f64,
    /// What it may still have before all others, in tokens.
    head_start: f64,
    /// `None`: it has work.
    idle_since: Option<Duration>,
    jobs: Vec<Job<J>>,
    turn: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Job<J> {
    id: J,
    weight: f64,
    credit: f64,
    rows: u64,
    row_tokens: f64,
}

impl<T, J> Default for Fair<T, J> {
    fn default() -> Self {
        Self { tenants: Vec::new(), turn: 0 }
    }
}

impl<T: Copy + PartialEq, J: Copy + PartialEq> Fair<T, J> {
    /// Says what there is to do now, in place of what was said before. `head_start` is how many tokens a tenant that comes anew may have
    /// before the others: two seconds' worth of the group's limit are good, as a limit gives one at once to whoever is alone.
    pub fn offer(&mut self, now: Duration, head_start: u64, work: &[Work<T, J>]) {
        let turn = self.tenants.get(self.turn).map(|tenant| tenant.id);
        for tenant in &mut self.tenants {
            tenant.take_up(work);
            let is_idle = tenant.jobs.is_empty();
            tenant.idle_since = is_idle.then(|| tenant.idle_since.unwrap_or(now));
            if is_idle {
                (tenant.credit, tenant.head_start) = (tenant.credit.min(0.0), 0.0);
            }
        }
        self.tenants.retain(|tenant| tenant.idle_since.is_none_or(|since| now.saturating_sub(since) < REST));
        for item in work.iter().filter(|item| item.rows > 0) {
            if !self.tenants.iter().any(|tenant| tenant.id == item.tenant) {
                let mut tenant = Tenant {
                    id: item.tenant,
                    weight: 1.0,
                    credit: 0.0,
                    head_start: to_f64(head_start),
                    idle_since: None,
                    jobs: Vec::new(),
                    turn: 0,
                };
                tenant.take_up(work);
                self.tenants.push(tenant);
            }
        }
        self.turn = self.tenants.iter().position(|tenant| Some(tenant.id) == turn).unwrap_or(0);
    }

    /// Gives out up to so many rows and tokens of what was offered, in the order of their turns. The last row may go over `tokens`.
    pub fn take(&mut self, rows: u64, tokens: u64) -> Vec<Part<T, J>> {
        let mut parts: Vec<Part<T, J>> = Vec::new();
        let (mut rows_left, mut tokens_left) = (rows, to_f64(tokens));
        while rows_left > 0 && tokens_left > 0.0 {
            let Some(index) = self.next_tenant() else {
                break;
            };
            let tenant = &mut self.tenants[index];
            let Some(part) = tenant.serve(rows_left, tokens_left) else {
                break;
            };
            rows_left -= part.rows;
            tokens_left -= to_f64(part.tokens);
            match parts.iter_mut().find(|other| other.tenant == part.tenant && other.job == part.job) {
                Some(other) => (other.rows, other.tokens) = (other.rows + part.rows, other.tokens + part.tokens),
                None => parts.push(part),
            }
        }
        parts
    }

    /// Corrects by what a row of the tenant really used beyond its estimate, or below it.
    pub fn settle(&mut self, tenant: T, estimated: u64, used: u64) {
        if let Some(tenant) = self.tenants.iter_mut().find(|other| other.id == tenant) {
            tenant.credit += to_f64(estimated) - to_f64(used);
        }
    }

    /// The tenant to be served now: whoever has a head start, else whose turn it is.
    fn next_tenant(&mut self) -> Option<usize> {
        let costs: Vec<Option<f64>> = self.tenants.iter_mut().map(Tenant::next_cost).collect();
        let anew = self.tenants.iter().zip(&costs).enumerate();
        let anew = anew.filter(|(_, (tenant, cost))| cost.is_some() && tenant.head_start > 0.0);
        // Those who come at once share as well.
        let first = anew.max_by(|one, other| one.1.0.head_start.total_cmp(&other.1.0.head_start));
        if let Some((index, _)) = first {
            return Some(index);
        }
        let mut ring: Vec<Entry<'_>> = self
            .tenants
            .iter_mut()
            .zip(costs)
            .map(|(tenant, cost)| Entry { weight: tenant.weight, credit: &mut tenant.credit, cost })
            .collect();
        next_turn(&mut ring, &mut self.turn)
    }
}

impl<T: Copy + PartialEq, J: Copy + PartialEq> Tenant<T, J> {
    /// Takes its jobs up from the list; those that are known keep their credit.
    fn take_up(&mut self, work: &[Work<T, J>]) {
        let turn = self.jobs.get(self.turn).map(|job| job.id);
        let mine = work.iter().filter(|item| item.tenant == self.id && item.rows > 0);
        let jobs: Vec<Job<J>> = mine
            .map(|item| {
                self.weight = sane(item.tenant_weight);
                Job {
                    id: item.job,
                    weight: sane(item.job_weight),
                    credit: self.jobs.iter().find(|job| job.id == item.job).map_or(0.0, |job| job.credit),
                    rows: item.rows,
                    row_tokens: to_f64(item.row_tokens.max(1)),
                }
            })
            .collect();
        self.jobs = jobs;
        self.turn = self.jobs.iter().position(|job| Some(job.id) == turn).unwrap_or(0);
    }

    /// Tokens of its next row.
    fn next_cost(&mut self) -> Option<f64> {
        self.next_job().map(|index| self.jobs[index].row_tokens)
    }

    fn next_job(&mut self) -> Option<usize> {
        let mut ring: Vec<Entry<'_>> = self
            .jobs
            .iter_mut()
            .map(|job| Entry {
                weight: job.weight,
                credit: &mut job.credit,
                cost: (job.rows > 0).then_some(job.row_tokens),
            })
            .collect();
        next_turn(&mut ring, &mut self.turn)
    }

    /// Serves as many rows of one job as the credit of both pays for, at least one, and at most one beyond `tokens`.
    fn serve(&mut self, rows: u64, tokens: f64) -> Option<Part<T, J>> {
        let index = self.next_job()?;
        let job = &mut self.jobs[index];
        let cost = job.row_tokens;
        let is_anew = self.head_start > 0.0;
        let credit = if is_anew { self.head_start.min(QUANTUM) } else { self.credit };
        let paid_for = to_u64((job.credit.min(credit) / cost).floor());
        let wanted = to_u64((tokens / cost).ceil());
        let rows = paid_for.min(wanted).max(1).min(rows).min(job.rows);
        let total = cost * to_f64(rows);
        job.credit -= total;
        job.rows -= rows;
        if is_anew {
            self.head_start -= total;
        } else {
            self.credit -= total;
        }
        Some(Part { tenant: self.id, job: job.id, rows, tokens: to_u64(total) })
    }
}

fn sane(weight: f64) -> f64 {
    if weight.is_finite() { weight.clamp(0.01, 10_000.0) } else { 1.0 }
}

#[expect(clippy::cast_precision_loss, reason = "tokens are far below 2⁵³")]
fn to_f64(tokens: u64) -> f64 {
    tokens as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole tokens, never negative")]
fn to_u64(tokens: f64) -> u64 {
    tokens as u64
}

#[cfg(test)]
mod tests;
