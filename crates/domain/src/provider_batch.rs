//! A dispatch on the batch route, and the object that it becomes at the provider.
//!
//! ```text
//! Formed ──► Uploaded ──► Creating ──► Submitted ──► Ended ──► (gone)
//!    │          ▲           │  ▲  │                    │
//!    └──────────┼───────────┘  └──┘ the reply was lost │
//!               └── refused ──┘                        └──► Watching ──► (gone)
//! ```
//!
//! A dispatch is gone when its rows are closed or open again and nothing of it is left to be looked for at the provider.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How far a dispatch is. Whoever holds its lease moves it on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Its rows are picked. Encoding and upload move it on; where requests travel inside the create call, the intent does.
    Formed,
    /// The provider has the file. It waits for its share of the allowance.
    Uploaded { file: String },
    /// The intent to create is recorded: a create may have been sent, and may have been accepted. Found by this stage, whoever holds
    /// the lease searches before anything is created again.
    Creating {
        file: Option<String>,
        since: DateTime<Utc>,
        /// When it was known that the reply is lost: the provider's list settles from then on.
        lost_at: Option<DateTime<Utc>>,
        /// Creates sent before this one whose fate was never learned.
        lost: u32,
        /// Objects that a search may find and that are not meant: somebody else's, or dealt with.
        known: Vec<String>,
    },
    /// The provider works on it.
    Submitted(Remote),
    /// The provider is done with it. Its results are being collected.
    Ended {
        remote: Remote,
        status: RemoteStatus,
        files: ResultFiles,
        /// Why it failed as a whole; the first hundred.
        errors: Vec<ValidationError>,
    },
    /// All is collected. A create of it was never accounted for: what turns up until then is cancelled and collected too.
    Watching {
        until: DateTime<Utc>,
        /// What the same creates are known to have made.
        known: Vec<String>,
    },
}

/// The object at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// The provider's own id.
    pub id: String,
    /// The uploaded file that it reads.
    pub file: Option<String>,
    /// When it was created, by the database's clock.
    pub since: DateTime<Utc>,
    /// Found by time and size only; its results will tell whether it is ours.
    pub unconfirmed: bool,
    /// Creates whose fate was never learned.
    pub lost: u32,
    /// Objects that a search may find and that are not meant: somebody else's, or dealt with.
    pub known: Vec<String>,
    /// When it was asked to stop.
    pub cancel_asked: Option<DateTime<Utc>>,
}

/// Where results lie at the provider. Either may be missing, whatever the status says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultFiles {
    pub output: Option<String>,
    pub errors: Option<String>,
}

/// What a provider says of a provider batch, whatever it calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteStatus {
    /// Waiting, or being validated.
    Queued,
    Running,
    /// Its results are being written.
    Finishing,
    Cancelling,
    /// It ran to its end; each request has its own result.
    Done,
    /// It could not run, as a whole.
    Failed,
    /// Its window ended before all was done.
    Expired,
    Cancelled,
    /// The provider knows of it no more.
    Lost,
    /// A word that this version doesn't know: it is looked at again.
    Unknown,
}

/// Why a whole provider batch failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationError {
    pub code: String,
    pub message: String,
    /// The request that caused it, from 1; `None` where the provider doesn't say.
    pub line: Option<u64>,
}

/// Most errors that are kept of a provider batch that failed as a whole.
const MAX_ERRORS: usize = 100;

/// A change that a stage does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a provider batch that is {from} can't become {to}")]
pub struct InvalidStage {
    pub from: &'static str,
    pub to: &'static str,
}

impl RemoteStatus {
    /// Nothing changes any more, and what results there are can be read.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Done | Self::Failed | Self::Expired | Self::Cancelled | Self::Lost => true,
            Self::Queued | Self::Running | Self::Finishing | Self::Cancelling | Self::Unknown => false,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finishing => "finishing",
            Self::Cancelling => "cancelling",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for RemoteStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Stage {
    /// As the database and metrics call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Formed => "formed",
            Self::Uploaded { .. } => "uploaded",
            Self::Creating { .. } => "creating",
            Self::Submitted(_) => "submitted",
            Self::Ended { .. } => "ended",
            Self::Watching { .. } => "watching",
        }
    }

    /// Whether nothing that is paid for can exist at the provider.
    pub fn is_free(&self) -> bool {
        match self {
            Self::Formed | Self::Uploaded { .. } => true,
            Self::Creating { .. } | Self::Submitted(_) | Self::Ended { .. } | Self::Watching { .. } => false,
        }
    }

    /// Creates whose fate was never learned.
    pub fn lost(&self) -> u32 {
        match self {
            Self::Creating { lost, .. } => *lost,
            Self::Submitted(remote) | Self::Ended { remote, .. } => remote.lost,
            Self::Formed | Self::Uploaded { .. } | Self::Watching { .. } => 0,
        }
    }

    /// The file was uploaded.
    pub fn uploaded(self, file: String) -> Result<Self, InvalidStage> {
        match self {
            Self::Formed => Ok(Self::Uploaded { file }),
            Self::Uploaded { .. }
            | Self::Creating { .. }
            | Self::Submitted(_)
            | Self::Ended { .. }
            | Self::Watching { .. } => self.refuse("uploaded"),
        }
    }

    /// A create is about to be sent. After a search that found nothing, it may be sent again.
    pub fn creating(self, since: DateTime<Utc>) -> Result<Self, InvalidStage> {
        match self {
            Self::Formed => Ok(Self::Creating { file: None, since, lost_at: None, lost: 0, known: Vec::new() }),
            Self::Uploaded { file } => {
                Ok(Self::Creating { file: Some(file), since, lost_at: None, lost: 0, known: Vec::new() })
            }
            Self::Creating { file, lost, known, .. } => {
                Ok(Self::Creating { file, since, lost_at: None, lost: lost + 1, known })
            }
            Self::Submitted(_) | Self::Ended { .. } | Self::Watching { .. } => self.refuse("creating"),
        }
    }

    /// The reply to the create is lost. What was known of it before stays.
    pub fn reply_lost(self, at: DateTime<Utc>) -> Result<Self, InvalidStage> {
        match self {
            Self::Creating { file, since, lost_at, lost, known } => {
                Ok(Self::Creating { file, since, lost_at: lost_at.or(Some(at)), lost, known })
            }
            Self::Formed | Self::Uploaded { .. } | Self::Submitted(_) | Self::Ended { .. } | Self::Watching { .. } => {
                self.refuse("creating")
            }
        }
    }

    /// The provider refused the create for certain: nothing came of it.
    pub fn refused(self) -> Result<Self, InvalidStage> {
        match self {
            Self::Creating { file: Some(file), lost: 0, .. } => Ok(Self::Uploaded { file }),
            Self::Creating { file: None, lost: 0, .. } => Ok(Self::Formed),
            // An earlier create may have been accepted still: it goes on being searched.
            Self::Creating { lost: 1.., .. } => Ok(self),
            Self::Formed | Self::Uploaded { .. } | Self::Submitted(_) | Self::Ended { .. } | Self::Watching { .. } => {
                self.refuse("refused")
            }
        }
    }

    /// The provider has it: the reply to the create says so, or a search.
    pub fn submitted(self, id: String, since: DateTime<Utc>, unconfirmed: bool) -> Result<Self, InvalidStage> {
        match self {
            Self::Creating { file, lost, known, .. } => {
                Ok(Self::Submitted(Remote { id, file, since, unconfirmed, lost, known, cancel_asked: None }))
            }
            Self::Formed | Self::Uploaded { .. } | Self::Submitted(_) | Self::Ended { .. } | Self::Watching { .. } => {
                self.refuse("submitted")
            }
        }
    }

    /// It was asked to stop.
    pub fn cancel_asked(self, at: DateTime<Utc>) -> Result<Self, InvalidStage> {
        match self {
            Self::Submitted(remote) => {
                let cancel_asked = remote.cancel_asked.or(Some(at));
                Ok(Self::Submitted(Remote { cancel_asked, ..remote }))
            }
            Self::Formed
            | Self::Uploaded { .. }
            | Self::Creating { .. }
            | Self::Ended { .. }
            | Self::Watching { .. } => self.refuse("cancelling"),
        }
    }

    /// The provider is done with it.
    pub fn ended(
        self,
        status: RemoteStatus,
        files: ResultFiles,
        mut errors: Vec<ValidationError>,
    ) -> Result<Self, InvalidStage> {
        errors.truncate(MAX_ERRORS);
        match self {
            Self::Submitted(remote) => Ok(Self::Ended { remote, status, files, errors }),
            Self::Formed
            | Self::Uploaded { .. }
            | Self::Creating { .. }
            | Self::Ended { .. }
            | Self::Watching { .. } => self.refuse("ended"),
        }
    }

    /// What was found by time and size turned out to be somebody else's: the search goes on.
    pub fn mistaken(self) -> Result<Self, InvalidStage> {
        match self {
            Self::Submitted(mut remote) | Self::Ended { mut remote, .. } if remote.unconfirmed => {
                remote.known.push(remote.id);
                let Remote { file, since, lost, known, .. } = remote;
                Ok(Self::Creating { file, since, lost_at: Some(since), lost, known })
            }
            Self::Formed
            | Self::Uploaded { .. }
            | Self::Creating { .. }
            | Self::Submitted(_)
            | Self::Ended { .. }
            | Self::Watching { .. } => self.refuse("creating"),
        }
    }

    /// All is collected, and a create was never accounted for.
    pub fn watching(self, until: DateTime<Utc>) -> Result<Self, InvalidStage> {
        match self {
            Self::Creating { known, .. } => Ok(Self::Watching { until, known }),
            Self::Submitted(mut remote) | Self::Ended { mut remote, .. } => {
                remote.known.push(remote.id);
                Ok(Self::Watching { until, known: remote.known })
            }
            Self::Formed | Self::Uploaded { .. } | Self::Watching { .. } => self.refuse("watching"),
        }
    }

    /// Another object that the same creates made was found.
    #[must_use]
    pub fn knowing(self, id: String) -> Self {
        match self {
            Self::Submitted(mut remote) => {
                remote.known.push(id);
                Self::Submitted(remote)
            }
            Self::Watching { until, mut known } => {
                known.push(id);
                Self::Watching { until, known }
            }
            Self::Formed | Self::Uploaded { .. } | Self::Creating { .. } | Self::Ended { .. } => self,
        }
    }

    fn refuse(&self, to: &'static str) -> Result<Self, InvalidStage> {
        Err(InvalidStage { from: self.name(), to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn submitted(lost: u32) -> Stage {
        let stage = Stage::Creating { file: Some("f".to_owned()), since: NOW, lost_at: None, lost, known: Vec::new() };
        stage.submitted("b".to_owned(), NOW, false).expect("from creating")
    }

    #[test]
    fn the_usual_way_leads_from_formed_to_ended() {
        let stage = Stage::Formed.uploaded("f".to_owned()).and_then(|stage| stage.creating(NOW)).expect("created");
        let stage = stage.submitted("b".to_owned(), NOW, false).expect("submitted");
        let Ok(Stage::Ended { remote, .. }) = stage.ended(RemoteStatus::Done, ResultFiles::default(), Vec::new())
        else {
            panic!("not ended")
        };
        assert_eq!((remote.id.as_str(), remote.file.as_deref(), remote.lost), ("b", Some("f"), 0));
    }

    #[test]
    fn a_create_that_may_have_been_accepted_is_never_forgotten() {
        let first = Stage::Formed.creating(NOW).expect("an intent");
        assert_eq!(first.clone().refused(), Ok(Stage::Formed));
        let second = first.creating(NOW).expect("another");
        assert_eq!(second.clone().refused(), Ok(second.clone()));
        let Ok(Stage::Submitted(remote)) = second.submitted("b".to_owned(), NOW, false) else { panic!("no remote") };
        assert_eq!(remote.lost, 1);
    }

    #[test]
    fn only_what_was_found_by_guess_can_be_a_mistake() {
        assert!(submitted(0).mistaken().is_err());
        let guess = Stage::Creating { file: None, since: NOW, lost_at: None, lost: 0, known: Vec::new() };
        assert!(guess.submitted("b".to_owned(), NOW, true).and_then(Stage::mistaken).is_ok());
    }

    #[test]
    fn nothing_leads_back_from_the_provider() {
        for stage in [submitted(0), Stage::Watching { until: NOW, known: Vec::new() }] {
            assert!(!stage.is_free());
            assert!(stage.clone().uploaded("f".to_owned()).is_err(), "{stage:?}");
            assert!(stage.clone().creating(NOW).is_err() && stage.clone().refused().is_err(), "{stage:?}");
        }
    }

    #[test]
    fn the_first_cancel_counts() {
        let later = NOW + chrono::TimeDelta::seconds(1);
        let stage = submitted(0).cancel_asked(NOW).and_then(|stage| stage.cancel_asked(later)).expect("cancelled");
        assert!(matches!(stage, Stage::Submitted(Remote { cancel_asked: Some(at), .. }) if at == NOW));
    }

    #[test]
    fn a_stage_survives_its_json() {
        let stage = submitted(2);
        let json = serde_json::to_value(&stage).expect("JSON");
        assert_eq!(json["stage"], stage.name());
        assert_eq!(serde_json::from_value::<Stage>(json).expect("a stage"), stage);
    }
}
