//! A provider batch as the API shows it.

use chrono::{DateTime, Utc};
use domain::provider_batch::RemoteStatus;
use serde::Deserialize;

use crate::Wanted;
use crate::lenient::lenient;
use crate::list::CLOCK_SLACK;

/// It carries nothing that names what it is for.
#[derive(Debug, Deserialize)]
pub(super) struct MessageBatch {
    pub id: String,
    #[serde(default, deserialize_with = "lenient")]
    processing_status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    request_counts: Option<Counts>,
    #[serde(default, deserialize_with = "lenient")]
    created_at: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    results_url: Option<String>,
}

/// All but `processing` are 0 until the end.
#[derive(Debug, Deserialize)]
struct Counts {
    processing: Option<u64>,
    succeeded: Option<u64>,
    errored: Option<u64>,
    canceled: Option<u64>,
    expired: Option<u64>,
}

/// Provider batches, newest first as far as is known.
#[derive(Deserialize)]
pub(super) struct Page {
    pub data: Vec<MessageBatch>,
    pub has_more: Option<bool>,
}

impl MessageBatch {
    pub(super) fn status(&self) -> RemoteStatus {
        let any = |count: fn(&Counts) -> Option<u64>| {
            self.request_counts.as_ref().and_then(count).is_some_and(|count| count > 0)
        };
        match self.processing_status.as_deref() {
            Some("in_progress") => RemoteStatus::Running,
            Some("canceling") => RemoteStatus::Cancelling,
            Some("ended") if any(|counts| counts.canceled) => RemoteStatus::Cancelled,
            Some("ended") if any(|counts| counts.expired) => RemoteStatus::Expired,
            Some("ended") => RemoteStatus::Done,
            Some(_) | None => RemoteStatus::Unknown,
        }
    }

    /// Its requests.
    pub(super) fn total(&self) -> Option<u64> {
        let Counts { processing, succeeded, errored, canceled, expired } = self.request_counts.as_ref()?;
        [processing, succeeded, errored, canceled, expired]
            .into_iter()
            .try_fold(0_u64, |total, count| total.checked_add(count.unwrap_or(0)))
    }

    pub(super) fn created(&self) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339(self.created_at.as_deref()?).ok().map(|time| time.to_utc())
    }

    /// Present on an ended one whose results are still kept.
    pub(super) fn results_url(&self) -> Option<&str> {
        self.results_url.as_deref().filter(|url| !url.is_empty())
    }

    /// Whether it may be what is searched for: only its age and its size can speak for it.
    pub(super) fn may_be(&self, wanted: &Wanted<'_>) -> bool {
        self.total() == Some(wanted.requests)
            && self.created().is_some_and(|created| created >= wanted.since - CLOCK_SLACK)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ended(counts: &serde_json::Value) -> MessageBatch {
        let json =
            json!({"id": "msgbatch_1", "processing_status": "ended", "request_counts": counts, "results_url": null});
        serde_json::from_value(json).expect("a provider batch")
    }

    #[test]
    fn every_status_has_its_word() {
        let status = |word: serde_json::Value| {
            let json = json!({"id": "msgbatch_1", "processing_status": word});
            serde_json::from_value::<MessageBatch>(json).expect("a provider batch").status()
        };
        assert_eq!(status(json!("in_progress")), RemoteStatus::Running);
        assert_eq!(status(json!("canceling")), RemoteStatus::Cancelling);
        assert_eq!(status(json!("ended")), RemoteStatus::Done);
        assert_eq!([json!("paused"), json!(null), json!(7)].map(status), [RemoteStatus::Unknown; 3]);
    }

    #[test]
    fn the_counts_say_how_it_ended() {
        assert_eq!(ended(&json!({"succeeded": 2, "errored": 1, "canceled": 0})).status(), RemoteStatus::Done);
        assert_eq!(ended(&json!({"succeeded": 2, "expired": 1})).status(), RemoteStatus::Expired);
        assert_eq!(ended(&json!({"succeeded": 2, "canceled": 1, "expired": 1})).status(), RemoteStatus::Cancelled);
        assert_eq!(ended(&json!({"processing": 1, "succeeded": 2, "errored": null})).total(), Some(3));
        assert_eq!(ended(&json!({"succeeded": u64::MAX, "errored": 1})).total(), None);
    }

    #[test]
    fn age_and_size_are_the_only_signs() {
        let at = |text: &str| {
            let json = json!({"id": "msgbatch_1", "created_at": text, "request_counts": {"processing": 3}});
            serde_json::from_value::<MessageBatch>(json).expect("a provider batch")
        };
        let since = "2026-11-21T10:00:00Z".parse().expect("a time");
        let wanted = |requests| Wanted { tag: "t", file: None, since, requests };
        assert!(at("2026-11-21T10:00:01.5Z").may_be(&wanted(3)));
        assert!(at("2026-11-21T11:55:00+02:00").may_be(&wanted(3)));
        assert!(!at("2026-11-21T09:00:00Z").may_be(&wanted(3)) && !at("2026-11-21T10:00:01Z").may_be(&wanted(4)));
        assert!(!at("soon").may_be(&wanted(3)));
    }
}
