//! What becomes of whole provider batches.

use serde::{Deserialize, Serialize};

use super::occasions::When;

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
    /// The provider breaks down.
    FailInternal,
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

impl ConfiguredOutcome {
    pub(super) fn validate(&self) -> Result<(), &'static str> {
        if !(0.0..=1.0).contains(&self.done_fraction) {
            return Err("done_fraction must be from 0 to 1");
        }
        self.when().validate()
    }

    pub(super) fn when(&self) -> When {
        When { times: self.times, every_nth: self.every_nth, skip: self.skip }
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

    #[test]
    fn outcome_is_written_as_it_is_read() {
        let text = r#"{"outcome":"stuck_running","done_fraction":0.25}"#;
        let outcome: ConfiguredOutcome = serde_json::from_str(text).expect("valid");
        assert_eq!(serde_json::to_string(&outcome).expect("serialises"), text);
    }
}
