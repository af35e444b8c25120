//! Faults of calls about files and provider batches, and of provider batches as a whole.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Sending a file.
    Upload,
    /// Creating a provider batch.
    Create,
    /// Asking for one provider batch.
    Poll,
    /// Fetching a file's content.
    Download,
    /// Listing provider batches.
    List,
    /// Cancelling a provider batch.
    Cancel,
    /// Deleting a file.
    DeleteFile,
}

/// A fault of calls of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationFault {
    /// The kind of calls.
    pub op: Operation,
    /// What goes wrong.
    pub fault: CallFault,
    /// With at most so many of them. None: no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Only with each nth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_nth: Option<u32>,
    /// Not with the first so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<u32>,
}

/// What goes wrong with a call; written `drop_after`, `status_503` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFault {
    /// Closes the connection instead of working.
    DropBefore,
    /// Works, and closes the connection without a byte.
    DropAfter,
    /// An error status, 400 to 599.
    Status(u16),
    /// Works, and sends half of the body that Content-Length promised.
    Truncate,
    /// 200 with a page of HTML.
    Html,
    /// Takes the request and never answers; closes after 10 minutes.
    Timeout,
}

/// What becomes of provider batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredOutcome {
    /// What becomes of it.
    pub outcome: Outcome,
    /// Of at most so many of them. None: no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Only of each nth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_nth: Option<u32>,
    /// Not of the first so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<u32>,
    /// The share of the requests that are answered, where not all are.
    #[serde(default = "half", skip_serializing_if = "is_half")]
    pub done_fraction: f64,
}

/// What becomes of a provider batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Each request fails with a 500.
    ErrorsOnly,
    /// The input file is found invalid.
    FailValidation,
    /// The queue has no room for its tokens.
    FailTokenLimit,
    /// Expires with a share of the requests done.
    Expire,
    /// The provider cancels it with a share of the requests done.
    Cancel,
    /// Validates until it is cancelled.
    StuckValidating,
    /// Runs until it is cancelled, with a share of the requests done.
    StuckRunning,
    /// A 404 from its second poll on, for ever.
    Lost,
    /// Goes back from running to validating once, and completes.
    Backwards,
    /// Has a status that nobody knows before it completes.
    UnknownStatus,
    /// Completes without saying where its output is.
    NoOutputFile,
    /// Completes with an error file whose id is the empty string.
    EmptyErrorFileId,
    /// Completes with results that do not say whose they are, where they travel inside calls.
    NoKeys,
}

/// Which of the occasions on which an entry is asked it meets.
#[derive(Debug, Clone, Copy, Default)]
struct When {
    times: Option<u32>,
    every_nth: Option<u32>,
    skip: Option<u32>,
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
    fn validate(self) -> Result<(), &'static str> {
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

impl OperationFault {
    pub(super) fn validate(&self) -> Result<(), &'static str> {
        self.when().validate()
    }

    fn when(&self) -> When {
        When { times: self.times, every_nth: self.every_nth, skip: self.skip }
    }
}

impl ConfiguredOutcome {
    pub(super) fn validate(&self) -> Result<(), &'static str> {
        if !(0.0..=1.0).contains(&self.done_fraction) {
            return Err("done_fraction must be from 0 to 1");
        }
        self.when().validate()
    }

    fn when(&self) -> When {
        When { times: self.times, every_nth: self.every_nth, skip: self.skip }
    }
}

impl Operation {
    /// As in the configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Create => "create",
            Self::Poll => "poll",
            Self::Download => "download",
            Self::List => "list",
            Self::Cancel => "cancel",
            Self::DeleteFile => "delete_file",
        }
    }
}

impl fmt::Display for CallFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DropBefore => "drop_before",
            Self::DropAfter => "drop_after",
            Self::Status(status) => return write!(formatter, "status_{status}"),
            Self::Truncate => "truncate",
            Self::Html => "html",
            Self::Timeout => "timeout",
        })
    }
}

impl FromStr for CallFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "drop_before" => Self::DropBefore,
            "drop_after" => Self::DropAfter,
            "truncate" => Self::Truncate,
            "html" => Self::Html,
            "timeout" => Self::Timeout,
            other => {
                let status = other.strip_prefix("status_").and_then(|status| status.parse().ok());
                let status = status.filter(|status| (400..600).contains(status));
                Self::Status(status.ok_or_else(|| format!("unknown fault of a call: `{other}`"))?)
            }
        })
    }
}

impl Serialize for CallFault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallFault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn half() -> f64 {
    0.5
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_half(fraction: &f64) -> bool {
    (*fraction - half()).abs() < f64::EPSILON
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

    #[test]
    fn configured_faults_are_written_as_they_are_read() {
        let text = r#"{"op":"delete_file","fault":"status_503","times":2}"#;
        let fault: OperationFault = serde_json::from_str(text).expect("valid");
        assert_eq!(fault.fault, CallFault::Status(503));
        assert_eq!(serde_json::to_string(&fault).expect("serialises"), text);
        let text = r#"{"outcome":"stuck_running","done_fraction":0.25}"#;
        let outcome: ConfiguredOutcome = serde_json::from_str(text).expect("valid");
        assert_eq!(serde_json::to_string(&outcome).expect("serialises"), text);
        for fault in ["status_200", "status_", "drop"] {
            assert!(fault.parse::<CallFault>().is_err(), "{fault}");
        }
    }
}
