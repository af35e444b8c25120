//! Reconcile: what a provider batch says of a chunk's rows becomes outcomes and attempts. The set of ids is closed: every row that was
//! sent gets something, whatever the files hold.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use db::outcomes::{Attempt, History, RowOutcome};
use domain::backoff::Backoff;
use domain::failure::{Class, Failure, Next, Tally};
use domain::money::Money;
use domain::outcome::{Outcome, Status, Usage};
use domain::provider::Tariff;
use domain::provider_batch::{RemoteStatus, ValidationError};
use domain::row_set::RowSet;
use providers::{BatchDriver, Reply};

use super::lines::Lines;

/// After so many provider batches that ended before they came to it, a row goes real time, where that exists.
const MAX_EXPIRIES: u32 = 2;

/// What is the same for every chunk of a provider batch.
pub(super) struct Reconciler {
    pub driver: Arc<dyn BatchDriver>,
    /// What it means that the files say nothing of a row; see [`silence`].
    pub silence: Option<Failure>,
    pub tariff: Option<Tariff>,
    pub model: String,
    pub max_attempts: u32,
    pub backoff: Backoff,
    /// False: its rows were settled before. Only answers matter then.
    pub owns_rows: bool,
}

/// What it means for a row that a provider batch ended so and its files say nothing of it. `None`: it was never tried.
pub(super) fn silence(status: RemoteStatus, errors: &[ValidationError]) -> Option<Failure> {
    let failure = match status {
        RemoteStatus::Expired => {
            let words = "the provider batch expired before this request was answered";
            Failure::new(Class::Wait, "batch_expired", words)
        }
        RemoteStatus::Cancelled => {
            let words = "the provider batch was cancelled before this request was answered";
            Failure::new(Class::Wait, "batch_cancelled", words)
        }
        RemoteStatus::Lost => {
            Failure::new(Class::Transient, "provider_batch_lost", "the provider lost the provider batch")
        }
        // It did not run at all: because of a row, or of something that stands for all of them, or because the provider broke down.
        RemoteStatus::Failed => {
            let broken = errors.iter().find(|error| BREAKDOWNS.contains(&error.code.as_str()))?;
            Failure::new(Class::Transient, "provider_error", format!("{}: {}", broken.code, broken.message))
        }
        RemoteStatus::Done
        | RemoteStatus::Queued
        | RemoteStatus::Running
        | RemoteStatus::Finishing
        | RemoteStatus::Cancelling
        | RemoteStatus::Unknown => {
            let words = "the provider batch ended without a result for this row";
            Failure::new(Class::Transient, "provider_missing_result", words)
        }
    };
    Some(failure)
}

/// Codes of OpenAI and those that follow it, and of Google, for a failure that is the provider's own: no row is to blame, and to look for
/// one would make many small provider batches of a large one.
const BREAKDOWNS: [&str; 7] = [
    "server_error",
    "internal_error",
    "internal_server_error",
    "service_unavailable",
    "INTERNAL",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
];

/// A chunk's rows as they stand.
pub(super) struct ChunkRows {
    pub first_row: u64,
    /// Those that were sent in the provider batch.
    pub sent: RowSet,
    pub closed: RowSet,
    pub histories: Vec<History>,
}

/// What became of them.
#[derive(Debug)]
pub(super) struct Reconciled {
    pub outcomes: Vec<(u64, Outcome)>,
    pub attempts: Vec<Attempt>,
    pub late: Vec<RowOutcome>,
    pub realtime_only: RowSet,
    /// Rows that the files say nothing of.
    pub missing: u64,
    /// A sign that no request can work now.
    pub standstill: Option<Failure>,
}

impl Reconciled {
    pub(super) fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.attempts.is_empty() && self.late.is_empty()
    }
}

impl Reconciler {
    /// Reads a chunk's lines: of each row the first success, else the first of its lines. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn read(&self, rows: usize, lines: &Lines) -> io::Result<Vec<Option<Reply>>> {
        let mut replies: Vec<Option<Reply>> = vec![None; rows];
        lines.for_each(|offset, line| {
            let known = &mut replies[offset];
            if known.as_ref().is_none_or(|known| known.result.is_err()) {
                let reply = self.driver.read(line);
                if known.is_none() || reply.result.is_ok() {
                    *known = Some(reply);
                }
            }
        })?;
        Ok(replies)
    }

    /// What the replies of a chunk's rows mean.
    pub(super) fn reconcile(&self, chunk: &ChunkRows, mut replies: Vec<Option<Reply>>) -> Reconciled {
        let histories: HashMap<u64, &History> = chunk.histories.iter().map(|history| (history.row, history)).collect();
        let mut reconciled = Reconciled {
            outcomes: Vec::with_capacity(chunk.sent.count()),
            attempts: Vec::new(),
            late: Vec::new(),
            realtime_only: RowSet::empty(chunk.sent.length()),
            missing: 0,
            standstill: None,
        };
        for offset in chunk.sent.iter() {
            let row = chunk.first_row + offset as u64;
            let reply = replies[offset].take().or_else(|| {
                reconciled.missing += 1;
                self.silence.clone().map(Reply::without_answer)
            });
            let Some(reply) = reply else { continue };
            let history = histories.get(&row).map_or_else(|| History::none(row), |history| **history);
            if chunk.closed.contains(offset) {
                reconciled.late.extend(self.late(row, reply));
            } else {
                self.add(&mut reconciled, offset, history, reply);
            }
        }
        reconciled
    }

    fn add(&self, reconciled: &mut Reconciled, offset: usize, history: History, reply: Reply) {
        // Somebody else tries the row by now; what it used here is booked all the same.
        if !self.owns_rows && reply.result.is_err() {
            reconciled.late.extend(self.late(history.row, reply));
            return;
        }
        let (usage, cost) = self.charge(&reply);
        let failure = match reply.result {
            Ok(answer) => {
                let outcome = Outcome {
                    response: Some(answer.text),
                    finish_reason: answer.finish_reason,
                    ..self.outcome(Status::Succeeded, &history, usage, cost)
                };
                reconciled.outcomes.push((history.row, outcome));
                return;
            }
            Err(failure) => failure,
        };
        let counted = failure.class.counts();
        let tally = Tally { counted: history.counted + u32::from(counted), total: history.total + 1 };
        let next = failure.next(tally, self.max_attempts);
        if next == Next::DeadLetter {
            let outcome = Outcome {
                response: reply.refusal,
                error: Some(failure.error),
                ..self.outcome(Status::Failed, &history, usage, cost)
            };
            reconciled.outcomes.push((history.row, outcome));
            return;
        }
        if matches!(failure.error.code.as_str(), "batch_expired" | "batch_cancelled")
            && history.expiries + 1 >= MAX_EXPIRIES
        {
            reconciled.realtime_only.insert(offset);
        }
        reconciled.attempts.push(Attempt {
            row: history.row,
            attempt: tally.total,
            counted,
            error: failure.error.clone(),
            http_status: reply.http_status,
            request_id: reply.request_id,
            usage,
            cost,
            retry_after: self.backoff.wait(tally.total, fastrand::f64(), failure.retry_after),
        });
        if next == Next::Pause {
            reconciled.standstill = Some(failure);
        }
    }

    fn outcome(&self, status: Status, history: &History, usage: Usage, cost: Option<Money>) -> Outcome {
        let mut all = history.usage;
        all += usage;
        let before = if history.total == 0 { Some(Money::ZERO) } else { history.cost };
        Outcome {
            status,
            response: None,
            error: None,
            model: Some(self.model.clone()),
            finish_reason: None,
            usage: all,
            cost: before.zip(cost).map(|(before, cost)| before + cost),
            attempts: history.total + 1,
        }
    }

    /// An answer for a row that has its outcome: what it used is booked. Anything else is of no interest any more.
    fn late(&self, row: u64, reply: Reply) -> Option<RowOutcome> {
        let (usage, cost) = self.charge(&reply);
        if reply.result.is_err() && usage == Usage::default() {
            return None;
        }
        let outcome = Outcome {
            error: reply.result.err().map(|failure| failure.error),
            ..self.outcome(Status::Succeeded, &History::none(row), usage, cost)
        };
        Some(RowOutcome { row, outcome, last_usage: usage, last_cost: cost })
    }

    /// What a reply costs. An answer without usage is paid for, nobody knows how much; an error without usage is free.
    fn charge(&self, reply: &Reply) -> (Usage, Option<Money>) {
        let billed = match &reply.result {
            Ok(_) => true,
            Err(failure) => failure.class == Class::Refusal && reply.http_status == Some(200),
        };
        let cost = match (&reply.usage, &self.tariff) {
            (Some(usage), Some(tariff)) => Some(tariff.cost(usage)),
            (None, Some(_)) if !billed => Some(Money::ZERO),
            (None, Some(_)) | (_, None) => None,
        };
        (reply.usage.unwrap_or_default(), cost)
    }
}
