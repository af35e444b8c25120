//! What a provider says of a provider batch.

use chrono::{DateTime, Utc};
use domain::provider_batch::{RemoteStatus, ResultFiles, ValidationError};
use serde::Deserialize;

use super::list::Entry;
use crate::lenient::lenient;
use crate::{Polled, Wanted};

/// The field of a provider batch's metadata that holds its tag.
pub(crate) const TAG: &str = "gristmill";

/// OpenAI's batch object. What is missing, null, empty or of another shape is absent.
#[derive(Deserialize)]
pub(crate) struct Job {
    pub id: String,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    input_file_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    output_file_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    error_file_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    errors: Option<Errors>,
    #[serde(default, deserialize_with = "lenient")]
    created_at: Option<Time>,
    #[serde(default, deserialize_with = "lenient")]
    request_counts: Option<Counts>,
    metadata: Option<serde_json::Value>,
}

/// Unix seconds, or ISO 8601.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Time {
    Unix(f64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Errors {
    Object { data: Vec<JobError> },
    List(Vec<JobError>),
}

#[derive(Deserialize)]
struct JobError {
    #[serde(default, deserialize_with = "lenient")]
    code: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    line: Option<u64>,
}

#[derive(Deserialize)]
struct Counts {
    completed: Option<u64>,
    failed: Option<u64>,
}

impl Time {
    pub fn instant(&self) -> Option<DateTime<Utc>> {
        match self {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a cast saturates, and what is out of range is no time"
            )]
            Self::Unix(seconds) => DateTime::from_timestamp(*seconds as i64, 0),
            Self::Text(text) => DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()),
        }
    }
}

impl Entry for Job {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Job {
    /// Whether it is what is searched for: by its tag, or by the file that only one provider batch reads.
    pub fn is(&self, wanted: &Wanted<'_>) -> bool {
        has_tag(self.metadata.as_ref(), wanted.tag)
            || wanted.file.is_some_and(|file| self.input_file_id.as_deref() == Some(file))
    }

    pub fn created_at(&self) -> Option<DateTime<Utc>> {
        self.created_at.as_ref()?.instant()
    }

    pub fn polled(self) -> Polled {
        let errors = match self.errors {
            Some(Errors::Object { data: list } | Errors::List(list)) => list,
            None => Vec::new(),
        };
        Polled {
            status: status(self.status.as_deref().unwrap_or_default()),
            files: files(self.output_file_id, self.error_file_id),
            errors: errors.into_iter().map(Into::into).collect(),
            done: self.request_counts.and_then(|counts| Some(counts.completed? + counts.failed.unwrap_or(0))),
        }
    }
}

impl From<JobError> for ValidationError {
    fn from(error: JobError) -> Self {
        Self {
            code: error.code.unwrap_or_else(|| "unknown".to_owned()),
            message: error.message.unwrap_or_default(),
            line: error.line,
        }
    }
}

pub(crate) fn has_tag(metadata: Option<&serde_json::Value>, tag: &str) -> bool {
    metadata.and_then(|metadata| metadata.get(TAG)).and_then(serde_json::Value::as_str) == Some(tag)
}

pub(crate) fn files(output: Option<String>, errors: Option<String>) -> ResultFiles {
    let present = |file: Option<String>| file.filter(|id| !id.is_empty());
    ResultFiles { output: present(output), errors: present(errors) }
}

/// Of every provider whose words are OpenAI's, in any case.
pub(crate) fn status(word: &str) -> RemoteStatus {
    match word.to_ascii_lowercase().as_str() {
        "validating" => RemoteStatus::Queued,
        "in_progress" => RemoteStatus::Running,
        "finalizing" => RemoteStatus::Finishing,
        "cancelling" | "canceling" => RemoteStatus::Cancelling,
        "completed" => RemoteStatus::Done,
        "failed" => RemoteStatus::Failed,
        "expired" => RemoteStatus::Expired,
        "cancelled" | "canceled" => RemoteStatus::Cancelled,
        _ => RemoteStatus::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polled(json: &str) -> Polled {
        serde_json::from_str::<Job>(json).expect(json).polled()
    }

    #[test]
    fn an_ended_one_has_its_files_and_counts() {
        let polled = polled(
            r#"{"id":"b","status":"completed","output_file_id":"f1","error_file_id":"f2","errors":null,
            "request_counts":{"total":3,"completed":2,"failed":1},"metadata":null,"created_at":1800000000}"#,
        );
        assert_eq!((polled.status, polled.done, polled.errors.len()), (RemoteStatus::Done, Some(3), 0));
        assert_eq!(polled.files, ResultFiles { output: Some("f1".to_owned()), errors: Some("f2".to_owned()) });
    }

    #[test]
    fn what_is_null_or_empty_is_absent() {
        let polled = polled(
            r#"{"id":"b","status":"Completed","output_file_id":null,"error_file_id":"","request_counts":{"completed":null},
            "created_at":"2026-11-21T10:00:00Z"}"#,
        );
        assert_eq!((polled.status, polled.done, polled.files), (RemoteStatus::Done, None, ResultFiles::default()));
    }

    #[test]
    fn a_failed_one_says_why() {
        for errors in [
            r#"{"object":"list","data":[{"code":"invalid_json_line","message":"bad","param":null,"line":7}]}"#,
            r#"[{"code":"invalid_json_line","message":"bad","line":7}]"#,
        ] {
            let polled = polled(&format!(r#"{{"id":"b","status":"failed","errors":{errors}}}"#));
            let error =
                ValidationError { code: "invalid_json_line".to_owned(), message: "bad".to_owned(), line: Some(7) };
            assert_eq!((polled.status, polled.errors), (RemoteStatus::Failed, vec![error]));
        }
        assert!(polled(r#"{"id":"b","status":"failed","errors":{"data":null}}"#).errors.is_empty());
    }

    #[test]
    fn odd_values_hide_nothing_else() {
        let polled = polled(
            r#"{"id":"b","status":"completed","output_file_id":"f1","error_file_id":7,"errors":"none","created_at":{},
            "request_counts":[1],"metadata":[]}"#,
        );
        assert_eq!((polled.status, polled.files.output.as_deref()), (RemoteStatus::Done, Some("f1")));
        assert_eq!((polled.files.errors, polled.errors.len(), polled.done), (None, 0, None));
    }

    #[test]
    fn a_word_that_is_new_is_unknown() {
        for word in ["", "paused", "complete"] {
            assert_eq!(status(word), RemoteStatus::Unknown, "{word}");
        }
        assert_eq!(polled(r#"{"id":"b"}"#).status, RemoteStatus::Unknown);
        assert_eq!(status("CANCELLED"), RemoteStatus::Cancelled);
    }

    #[test]
    fn times_come_in_two_forms() {
        let time = |json: &str| serde_json::from_str::<Time>(json).expect(json).instant();
        assert_eq!(time("1800000000"), time(r#""2027-01-15T08:00:00+00:00""#));
        assert!(time("1800000000").is_some());
        assert_eq!((time("1e300"), time(r#""soon""#)), (None, None));
    }
}
