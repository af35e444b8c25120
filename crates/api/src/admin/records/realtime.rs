//! Limits of real-time calls.

use utoipa::ToSchema;

use crate::body::Fields;

/// Limits of real-time calls. A limit that is null or absent is unknown.
#[derive(ToSchema)]
#[schema(as = RealtimeLimits)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct RealtimeSchema {
    requests_per_minute: Option<u32>,
    input_tokens_per_minute: Option<u32>,
    /// Not yet supported: null.
    output_tokens_per_minute: Option<u32>,
    /// Not yet supported: null.
    requests_per_day: Option<u32>,
    /// Calls in flight at once.
    max_concurrency: Option<u32>,
    /// From the first byte sent to the last byte of the reply.
    timeout_s: Option<u32>,
}

/// Name, least, most.
const LIMITS: [(&str, u32, u32); 4] = [
    ("requests_per_minute", 1, u32::MAX),
    ("input_tokens_per_minute", 1, u32::MAX),
    ("max_concurrency", 1, 100_000),
    ("timeout_s", 1, 3_600),
];

/// Checks a record's `realtime`.
pub(super) fn check(body: &mut Fields<'_>) {
    let Some(mut fields) = body.object("realtime") else { return };
    for (name, least, most) in LIMITS {
        fields.integer(name, least..=most);
    }
    fields.later(&["output_tokens_per_minute", "requests_per_day"]);
    fields.finish();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::problem::Problems;

    #[test]
    fn limits_that_nothing_applies_yet_are_refused() {
        let body =
            json!({"realtime": {"requests_per_minute": 0, "output_tokens_per_minute": 1, "requests_per_day": 1}});
        let mut problems = Problems::default();
        check(&mut Fields::of_body(body, &mut problems).expect("an object"));
        assert_eq!(
            problems.pairs(),
            [
                ("/realtime/requests_per_minute", "out_of_range"),
                ("/realtime/output_tokens_per_minute", "not_yet_supported"),
                ("/realtime/requests_per_day", "not_yet_supported"),
            ]
        );
    }
}
