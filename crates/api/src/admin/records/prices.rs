//! A model's prices: short, or a list.

use domain::money::Money;
use domain::provider::{Price, PriceKind};
use domain::route::Route;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::batch::decimal;
use crate::body::Fields;

/// Per million tokens, in USD, as decimal strings.
#[derive(Serialize, ToSchema)]
#[schema(as = Prices)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum PricesSchema {
    Short(ShortPricesSchema),
    List(Vec<PriceSchema>),
}

/// Real-time prices; the provider batches' follow from the record's discount.
#[derive(Serialize, ToSchema)]
#[schema(as = ShortPrices)]
#[expect(clippy::struct_field_names, reason = "the public names")]
pub(crate) struct ShortPricesSchema {
    #[schema(example = "0.25")]
    input_per_mtok_usd: String,
    /// Default: as other input.
    #[schema(example = "0.025")]
    cached_input_per_mtok_usd: Option<String>,
    #[schema(example = "2.00")]
    output_per_mtok_usd: String,
}

/// One price of a list. A route without a price of a kind has the other's: provider batches less the record's discount.
#[derive(Serialize, ToSchema)]
#[schema(as = Price)]
pub(crate) struct PriceSchema {
    /// `input`, `cached_input`, `cache_write`, `cache_write_1h`, `output`, `reasoning` or `image`.
    kind: String,
    /// `realtime` or `batch`.
    route: String,
    /// Counts for requests with more input tokens than this. Default: for all.
    above_input_tokens: Option<u64>,
    #[schema(example = "0.25")]
    per_mtok_usd: String,
}

const KINDS: [(&str, Option<PriceKind>); 7] = [
    ("input", Some(PriceKind::Input)),
    ("cached_input", Some(PriceKind::CachedInput)),
    ("cache_write", Some(PriceKind::CacheWrite)),
    ("cache_write_1h", Some(PriceKind::CacheWrite1h)),
    ("output", Some(PriceKind::Output)),
    ("reasoning", Some(PriceKind::Reasoning)),
    ("image", Some(PriceKind::Image)),
];

const ROUTES: [(&str, Option<Route>); 2] = [("realtime", Some(Route::Realtime)), ("batch", Some(Route::Batch))];

const LONGEST_LIST: usize = 200;

/// Checks a record's `prices`.
pub(super) fn check(body: &mut Fields<'_>) {
    if body.is_list("prices") {
        check_list(body);
    } else if let Some(mut fields) = body.object("prices") {
        fields.require("input_per_mtok_usd");
        fields.require("output_per_mtok_usd");
        for name in ["input_per_mtok_usd", "cached_input_per_mtok_usd", "output_per_mtok_usd"] {
            decimal::<Money>(&mut fields, name);
        }
        fields.finish();
    }
}

fn check_list(body: &mut Fields<'_>) {
    let Some(values) = body.list("prices", LONGEST_LIST) else { return };
    let length = values.len();
    let mut prices: Vec<Price> = Vec::new();
    for (position, value) in values.into_iter().enumerate() {
        let pointer = format!("{}/{position}", body.pointer("prices"));
        let Some(price) = price(body, value, &pointer) else { continue };
        let is_same = |other: &Price| {
            (other.kind, other.route, other.above_input_tokens) == (price.kind, price.route, price.above_input_tokens)
        };
        if prices.iter().any(is_same) {
            let message = "the list has a price of this kind, route and `above_input_tokens` already";
            body.problems().report(pointer, "invalid_value", message);
        }
        prices.push(price);
    }
    if prices.len() < length {
        return;
    }
    for (name, kind) in [("input", PriceKind::Input), ("output", PriceKind::Output)] {
        if !prices.iter().any(|price| price.kind == kind && price.above_input_tokens.is_none()) {
            body.report(
                "prices",
                "required",
                format!("the list needs a price for `{name}` that counts for all requests"),
            );
        }
    }
}

/// `None`, with a problem, if it is none.
fn price(body: &mut Fields<'_>, value: Value, pointer: &str) -> Option<Price> {
    let mut fields = Fields::of(value, pointer.to_owned(), body.problems())?;
    for name in ["kind", "route", "per_mtok_usd"] {
        fields.require(name);
    }
    let kind = fields.choice("kind", &KINDS);
    let route = fields.choice("route", &ROUTES);
    let above_input_tokens = fields.integer("above_input_tokens", 1..=u64::from(u32::MAX));
    let per_mtok_usd = decimal(&mut fields, "per_mtok_usd");
    fields.finish();
    Some(Price { kind: kind?, route: route?, above_input_tokens, per_mtok_usd: per_mtok_usd? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::problem::Problems;

    fn pairs(prices: &Value) -> Vec<(String, &'static str)> {
        let mut problems = Problems::default();
        check(&mut Fields::of_body(json!({"prices": prices}), &mut problems).expect("an object"));
        problems.into_pairs()
    }

    fn price(kind: &str, route: &str) -> Value {
        json!({"kind": kind, "route": route, "per_mtok_usd": "1"})
    }

    #[test]
    fn a_list_prices_input_and_output() {
        let (input, output) = (price("input", "realtime"), price("output", "batch"));
        assert_eq!(pairs(&json!([input, output])), []);
        let missing = || ("/prices".to_owned(), "required");
        assert_eq!(pairs(&json!([])), [missing(), missing()]);
        let mut step = output.clone();
        step["above_input_tokens"] = json!(200_000);
        assert_eq!(pairs(&json!([input, step])), [missing()]);
        assert_eq!(pairs(&json!([input, output, step])), []);
        assert_eq!(pairs(&json!([input, output, input])), [("/prices/2".to_owned(), "invalid_value")]);
    }

    #[test]
    fn a_wrong_price_is_told_by_its_place() {
        let wrong =
            json!([price("input", "realtime"), {"kind": "audio", "route": "fast", "per_mtok_usd": 1, "odd": 1}, 7]);
        let expected = [
            ("/prices/1/kind", "invalid_value"),
            ("/prices/1/route", "invalid_value"),
            ("/prices/1/per_mtok_usd", "invalid_type"),
            ("/prices/1/odd", "unknown_field"),
            ("/prices/2", "invalid_type"),
        ];
        assert_eq!(pairs(&wrong), expected.map(|(pointer, code)| (pointer.to_owned(), code)));
        let short = json!({"input_per_mtok_usd": "x"});
        let expected = [("/prices/output_per_mtok_usd", "required"), ("/prices/input_per_mtok_usd", "invalid_value")];
        assert_eq!(pairs(&short), expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    }
}
