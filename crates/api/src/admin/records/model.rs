//! A model record as a body.

use domain::provider::{Driver, ModelName, ModelRecord};
use serde_json::{Value, json};

use super::{Put, batch, identity, prices, realtime};
use crate::body::Fields;
use crate::problem::{Problem, Problems};

/// Checks a model record; `driver` is its provider's.
///
/// # Errors
/// 422 with all that is wrong.
pub(in crate::admin) fn model(body: Value, name: &ModelName, driver: Driver) -> Result<Put<ModelRecord>, Problem> {
    let mut problems = Problems::default();
    let mut expected = None;
    if let Some(mut fields) = Fields::of_body(body.clone(), &mut problems) {
        expected = identity(&mut fields, &name.to_string());
        fields.require("upstream_model");
        fields.label("upstream_model", 200);
        check_tasks(&mut fields);
        fields.integer("context_tokens", 1..=u32::MAX);
        fields.integer("max_output_tokens", 1..=u32::MAX);
        prices::check(&mut fields);
        realtime::check(&mut fields);
        // An empty object inherits what there is, even where that is nothing.
        let inherits = body.get("batch").is_some_and(|batch| *batch == json!({}));
        batch::check(&mut fields, (!inherits).then_some(driver));
        fields.finish();
    }
    problems.check()?;
    let put = Put::<ModelRecord>::new(body, expected)?;
    if put.record.realtime.is_none() && put.record.batch.is_none() {
        let detail = "without `realtime` and without `batch`, the model can't be called";
        return Err(Problem::field("/batch", "invalid_value", detail));
    }
    Ok(put)
}

fn check_tasks(fields: &mut Fields<'_>) {
    let Some(values) = fields.list("tasks", 2) else { return };
    if values.iter().any(|value| value == "embedding") {
        fields.report("tasks", "not_yet_supported", "`embedding` is not supported yet");
    } else if values.is_empty() || values.iter().any(|value| value != "chat") {
        fields.report("tasks", "invalid_value", "expected [\"chat\"]");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: Value) -> Result<Put<ModelRecord>, Problem> {
        read_for(change, Driver::Openai)
    }

    fn read_for(change: Value, driver: Driver) -> Result<Put<ModelRecord>, Problem> {
        let mut body = json!({"upstream_model": "x"});
        let change: serde_json::Map<_, _> = serde_json::from_value(change).expect("an object");
        body.as_object_mut().expect("an object").extend(change);
        let name = ModelName { provider: "openai".to_owned(), model: "x".to_owned() };
        model(body, &name, driver)
    }

    #[test]
    fn the_record_of_the_contract_is_kept_as_it_is() {
        let body = json!({"upstream_model": "gpt-5-mini", "tasks": ["chat"], "context_tokens": 400_000, "max_output_tokens": 128_000,
            "prices": {"input_per_mtok_usd": "0.25", "cached_input_per_mtok_usd": "0.025", "output_per_mtok_usd": "2.00"},
            "realtime": {}, "batch": {}});
        let put = read(body.clone()).expect("sound");
        assert!(put.record.prices.is_some() && put.record.realtime.is_some() && put.record.batch.is_some());
        assert_eq!(put.json, body);
    }

    #[test]
    fn a_null_takes_a_way_away_but_not_both() {
        let put = read(json!({"batch": null, "tasks": null})).expect("sound");
        assert_eq!((put.record.batch, put.json), (None, json!({"upstream_model": "x", "batch": null})));
        assert_eq!(read(json!({"realtime": null})).expect("sound").record.realtime, None);
        assert!(read(json!({"realtime": null, "batch": null})).is_err());
    }

    #[test]
    fn batch_limits_of_a_driver_without_batch_api_are_refused() {
        let own = json!({"batch": {"discount": "0.4"}});
        assert!(read(own.clone()).is_ok() && read_for(own, Driver::OpenaiCompatible).is_err());
        for inherits in [json!({}), json!({"batch": {}}), json!({"batch": null})] {
            assert!(read_for(inherits.clone(), Driver::OpenaiCompatible).is_ok(), "{inherits}");
        }
    }

    #[test]
    fn what_has_no_effect_yet_is_refused() {
        let problem = read(json!({"tasks": ["embedding"]})).expect_err("a task to come");
        assert!(format!("{problem:?}").contains("not_yet_supported"), "{problem:?}");
    }
}
