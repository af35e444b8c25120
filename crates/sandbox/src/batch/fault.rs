//! Faults of calls about files and provider batches.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::occasions::When;

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

impl OperationFault {
    pub(super) fn validate(&self) -> Result<(), &'static str> {
        self.when().validate()
    }

    pub(super) fn when(&self) -> When {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_is_written_as_it_is_read() {
        let text = r#"{"op":"delete_file","fault":"status_503","times":2}"#;
        let fault: OperationFault = serde_json::from_str(text).expect("valid");
        assert_eq!(fault.fault, CallFault::Status(503));
        assert_eq!(serde_json::to_string(&fault).expect("serialises"), text);
        for fault in ["status_200", "status_", "drop"] {
            assert!(fault.parse::<CallFault>().is_err(), "{fault}");
        }
    }
}
