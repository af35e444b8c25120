//! A provider batch as the API shows it: a long-running operation.
//!
//! Source: <https://ai.google.dev/api/batch-api>. The SDKs show another shape.

use chrono::{DateTime, Utc};
use domain::provider_batch::{RemoteStatus, ResultFiles, ValidationError};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::error::Status;
use crate::Polled;
use crate::lenient::lenient;

#[derive(Deserialize)]
pub(super) struct Operation {
    /// `batches/…`.
    pub name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    done: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    metadata: Option<Metadata>,
    #[serde(default, deserialize_with = "lenient")]
    response: Option<Output>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default, deserialize_with = "lenient")]
    display_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    state: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    create_time: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    batch_stats: Option<Stats>,
    #[serde(default, deserialize_with = "lenient")]
    output: Option<Output>,
}

/// Where results lie. It stands in `response`, in an `output` in there, and in the metadata again.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    #[serde(default, deserialize_with = "lenient")]
    responses_file: Option<String>,
    inlined_responses: Option<IgnoredAny>,
    #[serde(rename = "output", default, deserialize_with = "lenient")]
    inner: Option<Box<Output>>,
}

/// 64-bit counts, so they come as strings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    successful_request_count: Option<Value>,
    failed_request_count: Option<Value>,
}

impl Stats {
    fn done(&self) -> Option<u64> {
        let count = |value: &Option<Value>| match value {
            None | Some(Value::Null) => Some(0),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64(),
        };
        count(&self.successful_request_count)?.checked_add(count(&self.failed_request_count)?)
    }
}

impl Output {
    fn file(&self, operation: &str) -> Option<String> {
        let named = self.responses_file.clone().filter(|file| !file.is_empty());
        named
            .or_else(|| self.inlined_responses.as_ref().map(|_| operation.to_owned()))
            .or_else(|| self.inner.as_ref()?.file(operation))
    }
}

impl Operation {
    pub(super) fn display_name(&self) -> Option<&str> {
        self.metadata.as_ref()?.display_name.as_deref()
    }

    pub(super) fn created(&self) -> Option<DateTime<Utc>> {
        let text = self.metadata.as_ref()?.create_time.as_deref()?;
        DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
    }

    /// `id` is its name, which is also that of the results that stand in it.
    pub(super) fn polled(&self, id: &str) -> Polled {
        let metadata = self.metadata.as_ref();
        let mirrored = metadata.and_then(|metadata| metadata.output.as_ref());
        let output = self.response.iter().chain(mirrored).find_map(|output| output.file(id));
        Polled {
            status: self.status(output.is_some()),
            files: ResultFiles { output, errors: None },
            errors: self.error.iter().map(problem).collect(),
            done: metadata.and_then(|metadata| metadata.batch_stats.as_ref()).and_then(Stats::done),
        }
    }

    /// The state, except that what is done is not waited for, and that results are.
    fn status(&self, has_results: bool) -> RemoteStatus {
        let word = self.metadata.as_ref().and_then(|metadata| metadata.state.as_deref()).unwrap_or_default();
        let status = status(word);
        let is_done = self.done == Some(true);
        match &self.error {
            _ if status == RemoteStatus::Done && !is_done && !has_results => RemoteStatus::Finishing,
            _ if status.is_terminal() || !is_done => status,
            Some(error) if error.name() == "CANCELLED" => RemoteStatus::Cancelled,
            Some(_) => RemoteStatus::Failed,
            None => RemoteStatus::Done,
        }
    }
}

/// The API says `BATCH_STATE_…`, its SDKs `JOB_STATE_…`.
fn status(word: &str) -> RemoteStatus {
    let word = word.strip_prefix("BATCH_STATE_").or_else(|| word.strip_prefix("JOB_STATE_")).unwrap_or(word);
    match word {
        "PENDING" | "QUEUED" => RemoteStatus::Queued,
        "RUNNING" | "UPDATING" => RemoteStatus::Running,
        "CANCELLING" => RemoteStatus::Cancelling,
        "SUCCEEDED" | "PARTIALLY_SUCCEEDED" => RemoteStatus::Done,
        "FAILED" => RemoteStatus::Failed,
        "CANCELLED" => RemoteStatus::Cancelled,
        "EXPIRED" => RemoteStatus::Expired,
        _ => RemoteStatus::Unknown,
    }
}

fn problem(error: &Status) -> ValidationError {
    ValidationError { code: error.name().to_owned(), message: error.message().to_owned(), line: None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn polled(operation: Value) -> Polled {
        serde_json::from_value::<Operation>(operation).expect("an operation").polled("batches/1")
    }

    #[test]
    fn every_state_has_its_status_under_either_prefix() {
        let table = [
            ("PENDING", RemoteStatus::Queued),
            ("RUNNING", RemoteStatus::Running),
            ("FAILED", RemoteStatus::Failed),
            ("CANCELLED", RemoteStatus::Cancelled),
            ("EXPIRED", RemoteStatus::Expired),
            ("UNSPECIFIED", RemoteStatus::Unknown),
        ];
        for (word, status) in table {
            for prefix in ["BATCH_STATE_", "JOB_STATE_"] {
                let polled = polled(json!({"metadata": {"state": format!("{prefix}{word}")}}));
                assert_eq!((polled.status, polled.files), (status, ResultFiles::default()), "{prefix}{word}");
            }
        }
        assert_eq!(polled(json!({})).status, RemoteStatus::Unknown);
    }

    #[test]
    fn results_are_found_wherever_they_are_told() {
        let inlined = json!({"inlinedResponses": {"inlinedResponses": []}});
        let table = [
            (json!({"response": {"responsesFile": "files/out"}}), Some("files/out")),
            (json!({"response": {"output": {"responsesFile": "files/out"}}}), Some("files/out")),
            (json!({"metadata": {"output": {"responsesFile": "files/out"}}}), Some("files/out")),
            (json!({"response": inlined}), Some("batches/1")),
            (json!({"metadata": {"output": inlined}, "response": {}}), Some("batches/1")),
            (json!({"response": {"responsesFile": ""}, "metadata": {"output": {}}}), None),
        ];
        for (operation, output) in table {
            assert_eq!(polled(operation.clone()).files.output.as_deref(), output, "{operation}");
        }
    }

    #[test]
    fn counts_are_strings_or_numbers_and_zeros_are_left_out() {
        let done = |stats: Value| polled(json!({"metadata": {"batchStats": stats}})).done;
        assert_eq!(
            done(json!({"requestCount": "9", "successfulRequestCount": "3", "failedRequestCount": "1"})),
            Some(4)
        );
        assert_eq!(done(json!({"successfulRequestCount": 3})), Some(3));
        assert_eq!(done(json!({"requestCount": "9"})), Some(0));
        assert_eq!(done(json!({"successfulRequestCount": "-1"})), None);
        assert_eq!(done(json!({"successfulRequestCount": u64::MAX, "failedRequestCount": 1})), None);
    }

    #[test]
    fn an_odd_field_hides_no_other() {
        let odd = json!({"displayName": [], "state": "BATCH_STATE_SUCCEEDED", "createTime": 7, "batchStats": "x", "output": 7});
        let polled =
            polled(json!({"done": "yes", "metadata": odd, "error": "x", "response": {"responsesFile": "files/out"}}));
        assert_eq!((polled.status, polled.done), (RemoteStatus::Done, None));
        assert_eq!((polled.files.output.as_deref(), polled.errors), (Some("files/out"), Vec::new()));
    }

    #[test]
    fn what_is_done_is_not_waited_for_and_results_are() {
        let failed = polled(json!({"done": true, "error": {"code": 8, "message": "too much"}}));
        assert_eq!(failed.status, RemoteStatus::Failed);
        let error =
            ValidationError { code: "RESOURCE_EXHAUSTED".to_owned(), message: "too much".to_owned(), line: None };
        assert_eq!(failed.errors, [error]);
        assert_eq!(polled(json!({"done": true, "error": {"code": 1}})).status, RemoteStatus::Cancelled);
        assert_eq!(polled(json!({"done": true})).status, RemoteStatus::Done);
        let succeeded = json!({"state": "BATCH_STATE_SUCCEEDED"});
        assert_eq!(polled(json!({"metadata": succeeded})).status, RemoteStatus::Finishing);
        assert_eq!(polled(json!({"metadata": succeeded, "done": true})).status, RemoteStatus::Done);
    }
}
