//! How Gemini speaks of rate limits: in the details of the error, and in no header.

use serde_json::{Value, json};

use super::error::ApiError;
use crate::family::{RateLimit, Wait};
use crate::fault::json_duration;
use crate::limits::{Limit, ceil_ms};
use crate::reply::Reply;

const EXHAUSTED: &str = "RESOURCE_EXHAUSTED";
const PLAN: &str = "You exceeded your current quota, please check your plan and billing details.";

/// A limit that says no wait comes without any detail.
pub(super) fn rate_limit(rate_limit: &RateLimit<'_>) -> Reply {
    let delay = match rate_limit.wait {
        Wait::Unknown => None,
        Wait::Usual(wait) => Some(json_duration(ceil_ms(wait))),
        Wait::Told { retry, delay, unix_ms } => retry.json_duration(delay, unix_ms),
    };
    let Some(delay) = delay else {
        return ApiError::new(429, EXHAUSTED, "Resource has been exhausted (e.g. check quota).").into();
    };
    let quota_id = match rate_limit.limit {
        Limit::Requests => "GenerateRequestsPerMinutePerProjectPerModel",
        Limit::Tokens => "GenerateContentInputTokensPerModelPerMinute",
    };
    let message = format!("{PLAN} Rate limit reached {}. Please retry in {delay}.", rate_limit.detail);
    let error = ApiError::new(429, EXHAUSTED, message).with(quota_failure(quota_id)).with(help());
    error.with(json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})).into()
}

/// The day's quota is used up.
pub(super) fn quota() -> ApiError {
    let quota_id = "GenerateRequestsPerDayPerProjectPerModel";
    ApiError::new(429, EXHAUSTED, PLAN).with(quota_failure(quota_id)).with(help())
}

fn quota_failure(quota_id: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
            "quotaId": quota_id,
            "quotaDimensions": {"location": "global"},
        }],
    })
}

fn help() -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.Help",
        "links": [{"description": "Learn more about Gemini API quotas",
                   "url": "https://ai.google.dev/gemini-api/docs/rate-limits"}],
    })
}
