//! What a provider's batch API takes.

use std::str::FromStr;

use domain::money::Money;
use domain::provider::{Driver, Fraction};
use utoipa::ToSchema;

use crate::body::Fields;

/// What a provider's batch API takes, and when it is worth it. A key that is null or absent has its default.
#[derive(ToSchema)]
#[schema(as = BatchLimits)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct BatchSchema {
    /// Requests of one provider batch. Default: 50,000.
    max_requests: Option<u32>,
    /// Bytes of one provider batch. Default: 100,000,000.
    max_bytes: Option<u64>,
    /// Bytes of one request. Default: as many as a whole provider batch may have.
    max_line_bytes: Option<u64>,
    /// Input tokens that may be queued at the provider, over all provider batches of a model. Default: unknown.
    max_enqueued_tokens: Option<u64>,
    /// Provider batches of a model that may be queued at once. Default: unknown.
    max_batches: Option<u32>,
    /// Provider batches of a model that may be created in an hour. Default: unknown.
    creates_per_hour: Option<u32>,
    /// The time within which the provider means to be done. Default: 86,400.
    window_s: Option<u32>,
    /// Fewer open rows than this go real time. Default: 50.
    min_items: Option<u32>,
    /// Where less would be saved, rows go real time; 0 turns the test off. Default: 0.50.
    #[schema(example = "0.50")]
    min_saving_usd: Option<String>,
    /// The part of the real-time price that is saved, where a model has no batch prices of its own. Default: 0.5.
    #[schema(example = "0.5")]
    discount: Option<String>,
    /// Time between two looks at a provider batch. Default: 30.
    poll_interval_s: Option<u32>,
    /// How long a new provider batch may stay out of the provider's list. Default: 300.
    create_settle_s: Option<u32>,
}

/// Name, least, most.
const LIMITS: [(&str, u64, u64); 10] = [
    ("max_requests", 1, 10_000_000),
    ("max_bytes", 1_000, 10_000_000_000),
    ("max_line_bytes", 1_000, 10_000_000_000),
    ("max_enqueued_tokens", 1, 1_000_000_000_000_000),
    ("max_batches", 1, 1_000_000),
    ("creates_per_hour", 1, 1_000_000),
    // Two weeks; the longest window that is sold has seven days.
    ("window_s", 1, 1_209_600),
    ("min_items", 0, 10_000_000),
    ("poll_interval_s", 1, 3_600),
    ("create_settle_s", 0, 3_600),
];

/// Checks a record's `batch`.
pub(super) fn check(body: &mut Fields<'_>, driver: Option<Driver>) {
    let Some(mut fields) = body.object("batch") else { return };
    for (name, least, most) in LIMITS {
        fields.integer(name, least..=most);
    }
    decimal::<Money>(&mut fields, "min_saving_usd");
    decimal::<Fraction>(&mut fields, "discount");
    fields.finish();
    if let Some(driver) = driver.filter(|driver| !driver.has_batch()) {
        let message = format!("the driver `{}` has no batch API; leave `batch` out, or null", driver.name());
        body.report("batch", "invalid_value", message);
    }
}

/// Reports a text that is none.
pub(super) fn decimal<T: FromStr<Err: std::fmt::Display>>(fields: &mut Fields<'_>, name: &str) -> Option<T> {
    let text = fields.text(name)?;
    text.parse().map_err(|error: T::Err| fields.report(name, "invalid_value", error.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::problem::Problems;

    fn pairs(batch: &Value, driver: Driver) -> Vec<(String, &'static str)> {
        let mut problems = Problems::default();
        check(&mut Fields::of_body(json!({"batch": batch}), &mut problems).expect("an object"), Some(driver));
        problems.into_pairs()
    }

    #[test]
    fn every_limit_has_its_range() {
        let sound = json!({"max_requests": 50_000, "max_bytes": 200_000_000, "max_line_bytes": 1_000_000,
            "max_enqueued_tokens": 20_000_000, "max_batches": null, "creates_per_hour": 2_000, "window_s": 86_400, "min_items": 0,
            "min_saving_usd": "0", "discount": "0.5", "poll_interval_s": 30, "create_settle_s": 0});
        assert_eq!(pairs(&sound, Driver::Openai), []);
        for name in sound.as_object().expect("an object").keys() {
            for wrong in [json!(-1), json!(1e30), json!("x"), json!({})] {
                let found = pairs(&json!({name: wrong}), Driver::Openai);
                assert_eq!(found.len(), 1, "{name} {wrong}");
                assert_eq!(found[0].0, format!("/batch/{name}"));
            }
        }
        assert_eq!(pairs(&json!({"odd": 1}), Driver::Openai), [("/batch/odd".to_owned(), "unknown_field")]);
        assert_eq!(pairs(&json!([]), Driver::Openai), [("/batch".to_owned(), "invalid_type")]);
    }

    #[test]
    fn a_driver_without_batch_api_takes_none() {
        let refused = [("/batch".to_owned(), "invalid_value")];
        assert_eq!(pairs(&json!({}), Driver::OpenaiCompatible), refused);
        assert_eq!(pairs(&Value::Null, Driver::OpenaiCompatible), []);
    }
}
