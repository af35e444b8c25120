//! A provider record as a body.

use domain::provider::{Driver, ProviderRecord};
use serde_json::Value;

use super::{Put, batch, identity, realtime};
use crate::admin::base_url;
use crate::body::Fields;
use crate::problem::{Problem, Problems};

/// Those of the contract that are still to come.
const LATER: [&str; 3] = ["vertex", "bedrock", "fireworks"];

/// Checks a provider record.
///
/// # Errors
/// 422 with all that is wrong.
pub(in crate::admin) fn provider(
    mut body: Value,
    id: &str,
    allow_private: bool,
) -> Result<Put<ProviderRecord>, Problem> {
    let mut problems = Problems::default();
    let mut expected = None;
    let mut base_url = None;
    if let Some(mut fields) = Fields::of_body(body.clone(), &mut problems) {
        expected = identity(&mut fields, id);
        fields.require("driver");
        fields.require("base_url");
        let driver = driver(&mut fields);
        base_url = fields.text("base_url").and_then(|text| {
            base_url::check(&text, allow_private)
                .map_err(|(code, message)| fields.report("base_url", code, message))
                .ok()
        });
        fields.label("credential", 100);
        fields.label("webhook_credential", 100);
        realtime::check(&mut fields);
        batch::check(&mut fields, driver);
        options(&mut fields, driver);
        fields.finish();
    }
    problems.check()?;
    body["base_url"] = base_url.into();
    Put::new(body, expected)
}

fn driver(fields: &mut Fields<'_>) -> Option<Driver> {
    let known = Driver::ALL.map(|driver| (driver.name(), Some(driver)));
    let later = LATER.map(|name| (name, None));
    fields.choice("driver", &[known.as_slice(), &later].concat())
}

fn options(body: &mut Fields<'_>, driver: Option<Driver>) {
    let Some(mut fields) = body.object("options") else { return };
    // Which ones there are is not known without a driver.
    let Some(driver) = driver else { return };
    for name in driver.options() {
        // It would be kept as a null, which is no text.
        let is_null = fields.is_null(name);
        let text = fields.label(name, 200);
        if is_null || text.is_some_and(|text| !text.bytes().all(|byte| byte.is_ascii_graphic())) {
            fields.report(name, "invalid_value", "write printable ASCII characters without spaces");
        }
    }
    fields.finish();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Put<ProviderRecord>, Problem> {
        provider(body, "openai", false)
    }

    fn refusal(change: Value) -> String {
        let mut body = json!({"driver": "openai", "base_url": "https://api.openai.com/v1"});
        let change: serde_json::Map<_, _> = serde_json::from_value(change).expect("an object");
        body.as_object_mut().expect("an object").extend(change);
        format!("{:?}", read(body.clone()).expect_err(&body.to_string()))
    }

    #[test]
    fn the_record_of_the_contract_is_kept_as_it_is() {
        let body = json!({"driver": "openai", "base_url": "https://api.openai.com/v1", "credential": "openai-main",
            "realtime": {"requests_per_minute": 10_000, "input_tokens_per_minute": 2_000_000, "output_tokens_per_minute": null,
                "requests_per_day": null, "max_concurrency": 500, "timeout_s": 120},
            "batch": {"max_requests": 50_000, "max_bytes": 200_000_000, "max_enqueued_tokens": 20_000_000, "window_s": 86_400,
                "min_items": 50, "min_saving_usd": "0.50", "discount": "0.5", "poll_interval_s": 30}});
        let put = read(body.clone()).expect("sound");
        assert_eq!((put.json, put.expected), (body, None));
        assert_eq!(put.record.batch.map(|batch| batch.max_requests()), Some(50_000));
    }

    #[test]
    fn a_null_takes_a_way_away() {
        let body = json!({"driver": "groq", "base_url": "https://x.test", "realtime": null, "batch": null, "credential": null,
            "options": null});
        let put = read(body).expect("sound");
        assert_eq!((put.record.realtime, put.record.batch, put.record.credential), (None, None, None));
        let kept = json!({"driver": "groq", "base_url": "https://x.test", "realtime": null, "batch": null});
        assert_eq!(put.json, kept);
    }

    #[test]
    fn a_record_can_be_sent_back_as_it_was_shown() {
        let body = json!({"id": "openai", "version": 7, "driver": "openai", "base_url": "https://x.test"});
        let put = read(body).expect("sound");
        assert_eq!((put.expected, put.json), (Some(7), json!({"driver": "openai", "base_url": "https://x.test"})));
        assert!(refusal(json!({"id": "other"})).contains("\"/id\""));
    }

    #[test]
    fn every_driver_is_taken_but_those_to_come() {
        for driver in Driver::ALL {
            assert!(read(json!({"driver": driver.name(), "base_url": "https://x.test"})).is_ok(), "{driver:?}");
        }
        for driver in LATER {
            assert!(refusal(json!({"driver": driver})).contains("not_yet_supported"), "{driver}");
        }
        assert!(
            refusal(json!({"driver": "odd", "options": {"x": "y"}})).contains("expected one of: openai, azure-openai")
        );
        let refused = refusal(json!({"driver": "openai-compatible", "batch": {}}));
        assert!(refused.contains("has no batch API"), "{refused}");
    }

    #[test]
    fn options_are_those_of_the_driver() {
        let options = json!({"anthropic_version": "2023-06-01"});
        let body = json!({"driver": "anthropic", "base_url": "https://x.test", "options": options});
        assert_eq!(read(body).expect("sound").record.options["anthropic_version"], "2023-06-01");
        assert!(refusal(json!({"options": options})).contains("unknown_field"));
        for wrong in [json!(null), json!(1), json!("a b"), json!("a\nb"), json!("")] {
            let change = json!({"driver": "azure-openai", "options": {"batch_endpoint": wrong}});
            assert!(refusal(change).contains("/options/batch_endpoint"), "{wrong}");
        }
    }
}
