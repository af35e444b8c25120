//! The parts that provider and model records share, as bodies and as answers.

use domain::money::Money;
use domain::provider::{Prices, RealtimeLimits, ShortPrices};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::Fields;

/// Limits of real-time calls. A null limit is unknown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RealtimeLimits)]
pub(crate) struct RealtimeView {
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

/// Per million tokens, in USD, as decimal strings.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Prices)]
#[expect(clippy::struct_field_names, reason = "the public names")]
pub(crate) struct PricesView {
    #[schema(example = "0.25")]
    input_per_mtok_usd: String,
    #[schema(example = "0.025")]
    cached_input_per_mtok_usd: Option<String>,
    #[schema(example = "2.00")]
    output_per_mtok_usd: String,
}

impl From<RealtimeLimits> for RealtimeView {
    fn from(limits: RealtimeLimits) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            input_tokens_per_minute: limits.input_tokens_per_minute,
            output_tokens_per_minute: limits.output_tokens_per_minute,
            requests_per_day: limits.requests_per_day,
            max_concurrency: limits.max_concurrency,
            timeout_s: limits.timeout_s,
        }
    }
}

impl PricesView {
    /// `None`: the record has a list, which this view can't hold.
    pub fn new(prices: Prices) -> Option<Self> {
        let Prices::Short(prices) = prices else { return None };
        Some(Self {
            input_per_mtok_usd: prices.input_per_mtok_usd.to_string(),
            cached_input_per_mtok_usd: prices.cached_input_per_mtok_usd.map(|price| price.to_string()),
            output_per_mtok_usd: prices.output_per_mtok_usd.to_string(),
        })
    }
}

pub(super) fn realtime(body: &mut Fields<'_>) -> RealtimeLimits {
    const LONGEST_TIMEOUT_S: u32 = 3_600;
    let Some(mut fields) = body.object("realtime") else {
        return RealtimeLimits::default();
    };
    let limits = RealtimeLimits {
        requests_per_minute: fields.integer("requests_per_minute", 1..=u32::MAX),
        input_tokens_per_minute: fields.integer("input_tokens_per_minute", 1..=u32::MAX),
        max_concurrency: fields.integer("max_concurrency", 1..=100_000),
        timeout_s: fields.integer("timeout_s", 1..=LONGEST_TIMEOUT_S),
        ..RealtimeLimits::default()
    };
    fields.later(&["output_tokens_per_minute", "requests_per_day"]);
    fields.finish();
    limits
}

/// `None` where there are none.
pub(super) fn prices(body: &mut Fields<'_>) -> Option<Prices> {
    if body.is_list("prices") {
        body.later(&["prices"]);
        return None;
    }
    let mut fields = body.object("prices")?;
    fields.require("input_per_mtok_usd");
    fields.require("output_per_mtok_usd");
    let input = price(&mut fields, "input_per_mtok_usd");
    let cached = price(&mut fields, "cached_input_per_mtok_usd");
    let output = price(&mut fields, "output_per_mtok_usd");
    fields.finish();
    Some(Prices::Short(ShortPrices {
        input_per_mtok_usd: input?,
        cached_input_per_mtok_usd: cached,
        output_per_mtok_usd: output?,
    }))
}

fn price(fields: &mut Fields<'_>, name: &str) -> Option<Money> {
    let text = fields.text(name)?;
    text.parse()
        .map_err(|error: domain::money::InvalidMoney| fields.report(name, "invalid_value", error.to_string()))
        .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::problem::Problems;

    #[test]
    fn limits_that_nothing_applies_yet_are_refused() {
        let body =
            json!({"realtime": {"requests_per_minute": 1, "output_tokens_per_minute": 1, "requests_per_day": 1}});
        let mut problems = Problems::default();
        let mut fields = Fields::of_body(body, &mut problems).expect("an object");
        realtime(&mut fields);
        assert_eq!(
            problems.pairs(),
            [
                ("/realtime/output_tokens_per_minute", "not_yet_supported"),
                ("/realtime/requests_per_day", "not_yet_supported"),
            ]
        );
    }
}
