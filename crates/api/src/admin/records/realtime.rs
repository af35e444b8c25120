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
    output_tokens_per_minute: Option<u32>,
    /// In any 24 hours.
    requests_per_day: Option<u32>,
    /// Calls in flight at once.
    max_concurrency: Option<u32>,
    /// From the first byte sent to the last byte of the reply.
    timeout_s: Option<u32>,
}

/// Name, least, most.
const LIMITS: [(&str, u32, u32); 6] = [
    ("requests_per_minute", 1, u32::MAX),
    ("input_tokens_per_minute", 1, u32::MAX),
    ("output_tokens_per_minute", 1, u32::MAX),
    ("requests_per_day", 1, u32::MAX),
    ("max_concurrency", 1, 100_000),
    ("timeout_s", 1, 3_600),
];

/// Checks a record's `realtime`.
pub(super) fn check(body: &mut Fields<'_>) {
    let Some(mut fields) = body.object("realtime") else { return };
    for (name, least, most) in LIMITS {
        fields.integer(name, least..=most);
    }
    fields.finish();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::problem::Problems;

    #[test]
    fn every_limit_has_its_bounds() {
        let body = json!({"realtime": {"requests_per_minute": 0, "output_tokens_per_minute": 0, "requests_per_day": 1,
            "max_concurrency": 100_001, "timeout_s": 3_600}});
        let mut problems = Problems::default();
        check(&mut Fields::of_body(body, &mut problems).expect("an object"));
        let out_of_range =
            ["/realtime/requests_per_minute", "/realtime/output_tokens_per_minute", "/realtime/max_concurrency"];
        assert_eq!(problems.pairs(), out_of_range.map(|pointer| (pointer, "out_of_range")));
    }
}
