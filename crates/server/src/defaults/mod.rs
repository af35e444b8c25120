#![doc = include_str!("README.md")]

use anyhow::Context as _;
use db::Database;
use domain::provider::ModelName;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Provider ids, and their records with those of their models.
const FILES: [(&str, &str); 7] = [
    ("anthropic", include_str!("anthropic.json")),
    ("azure-openai", include_str!("azure-openai.json")),
    ("gemini", include_str!("gemini.json")),
    ("groq", include_str!("groq.json")),
    ("mistral", include_str!("mistral.json")),
    ("openai", include_str!("openai.json")),
    ("together", include_str!("together.json")),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Value,
    /// By the part of a job's model after the slash.
    models: Map<String, Value>,
}

/// How many records were added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    pub providers: usize,
    pub models: usize,
}

/// Adds the records that are neither there nor were deleted.
pub async fn offer(db: &Database) -> anyhow::Result<Added> {
    let mut added = Added::default();
    let mut tx = db.scheduler().await?;
    for (provider_id, text) in FILES {
        let file: File = serde_json::from_str(text).with_context(|| format!("defaults/{provider_id}.json"))?;
        added.providers += usize::from(db::defaults::offer_provider(&mut tx, provider_id, &file.provider).await?);
        for (model, record) in file.models {
            let name = ModelName { provider: provider_id.to_owned(), model };
            added.models += usize::from(db::defaults::offer_model(&mut tx, &name, &record).await?);
        }
    }
    tx.commit().await?;
    Ok(added)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::money::Money;
    use domain::outcome::Usage;
    use domain::provider::{BatchLimits, Driver, ModelRecord, ProviderRecord, batch_of, is_callable};
    use domain::route::Route;

    use super::*;

    type Records = (ProviderRecord, BTreeMap<String, ModelRecord>);

    /// By the provider's id.
    fn records() -> BTreeMap<&'static str, Records> {
        let read = |(id, text): (&'static str, &str)| {
            let file: File = serde_json::from_str(text).expect(id);
            let models = file.models.into_iter().map(|(name, json)| (name, serde_json::from_value(json).expect(id)));
            (id, (serde_json::from_value(file.provider).expect(id), models.collect()))
        };
        FILES.into_iter().map(read).collect()
    }

    #[test]
    fn every_family_with_a_batch_api_has_a_record_and_models_that_can_be_called() {
        let families: Vec<_> = records().values().map(|(provider, _)| provider.driver).collect();
        assert!(Driver::ALL.iter().all(|driver| families.contains(driver) == driver.has_batch()), "{families:?}");
        for (id, (provider, models)) in records() {
            assert_eq!((provider.credential.as_deref(), provider.driver.name()), (Some(id), id));
            // Whose resource it is, only an operator knows.
            assert_eq!(models.is_empty(), provider.base_url.contains(".invalid/"), "{id}");
            for (name, model) in models {
                assert!(is_callable(&provider, &model) && model.prices.is_some(), "{id}/{name}");
            }
        }
    }

    /// What a million tokens of input and one of output cost on a route.
    fn cost(id: &str, model: &str, route: Route) -> Money {
        let (provider, models) = &records()[id];
        let record = &models[model];
        let discount = batch_of(provider, record).as_ref().map(BatchLimits::discount).unwrap_or_default();
        let tariff = record.prices.as_ref().and_then(|prices| prices.on(route, discount)).expect(model);
        // In requests that no step applies to.
        let usage = Usage { input_tokens: 100_000, cached_input_tokens: 0, output_tokens: 100_000 };
        Money(tariff.cost(&usage).0 * 10)
    }

    #[test]
    fn prices_are_those_of_the_catalogue() {
        for (id, model, realtime, batch) in [
            ("openai", "gpt-6-astra", "60", "30"),
            ("openai", "gpt-5-mini", "2.25", "1.125"),
            ("anthropic", "claude-opus-5-5", "24", "12"),
            ("gemini", "gemini-2.5-pro", "11.25", "5.625"),
            ("mistral", "mistral-small-latest", "0.75", "0.375"),
            ("groq", "openai/gpt-oss-20b", "0.375", "0.1875"),
            ("together", "openai/gpt-oss-120b", "0.75", "0.75"),
        ] {
            let costs = (cost(id, model, Route::Realtime), cost(id, model, Route::Batch));
            assert_eq!(costs, (realtime.parse().expect("USD"), batch.parse().expect("USD")), "{id}/{model}");
        }
    }
}
