//! What answers cost.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::money::Money;
use crate::outcome::Usage;
use crate::route::Route;

/// A part of 1, to six decimals: `0.5` is half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction(u32);

/// Millionths in 1.
const WHOLE: u32 = 1_000_000;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a fraction: write a decimal string from \"0\" to \"1\" with at most 6 decimals, such as \"0.5\"")]
pub struct InvalidFraction;

/// Half, as most providers take off.
impl Default for Fraction {
    fn default() -> Self {
        Self::HALF
    }
}

impl Fraction {
    pub const HALF: Self = Self(WHOLE / 2);

    /// What is left of an amount when this part of it is taken off, rounded up to a whole 10⁻¹² USD.
    fn off(self, amount: Money) -> Money {
        let left = i128::from(amount.0) * i128::from(WHOLE - self.0);
        let whole = i128::from(WHOLE);
        let rounded = left.div_euclid(whole) + i128::from(left.rem_euclid(whole) != 0);
        Money(i64::try_from(rounded).unwrap_or(i64::MAX))
    }
}

impl FromStr for Fraction {
    type Err = InvalidFraction;

    fn from_str(text: &str) -> Result<Self, InvalidFraction> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = decimals.bytes().all(|byte| byte.is_ascii_digit());
        if !matches!(whole, "0" | "1") || decimals.len() > 6 || !digits {
            return Err(InvalidFraction);
        }
        let millionths: u32 = format!("{decimals:0<6}").parse().map_err(|_| InvalidFraction)?;
        let fraction = Self(millionths + if whole == "1" { WHOLE } else { 0 });
        if fraction.0 <= WHOLE { Ok(fraction) } else { Err(InvalidFraction) }
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % WHOLE);
        let shown = decimals.trim_end_matches('0').len().max(1);
        write!(f, "{}.{}", self.0 / WHOLE, &decimals[..shown])
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A model's prices, as its record has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prices {
    Short(ShortPrices),
    List(Vec<Price>),
}

/// Real-time prices per million tokens; the provider batches' follow from the record's discount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShortPrices {
    pub input_per_mtok_usd: Money,
    /// None: cached input costs as much as other input.
    #[serde(default)]
    pub cached_input_per_mtok_usd: Option<Money>,
    pub output_per_mtok_usd: Money,
}

/// One price of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub kind: PriceKind,
    pub route: Route,
    /// Counts for requests with more input tokens than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above_input_tokens: Option<u64>,
    pub per_mtok_usd: Money,
}

/// What a price is for. Kinds that no answer is split into yet are kept, and not billed apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceKind {
    Input,
    CachedInput,
    CacheWrite,
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    Output,
    Reasoning,
    Image,
}

/// One route's prices, by size of the request: ascending, the first from 0 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff(Vec<Step>);

/// Per million tokens, for requests with more input tokens than `above`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    above: u64,
    input: Money,
    cached_input: Money,
    output: Money,
}

impl Prices {
    /// What answers on a route cost. A route without prices of its own has the other's: provider batches less the discount.
    ///
    /// `None` if the list has no price for input or output.
    pub fn on(&self, route: Route, discount: Fraction) -> Option<Tariff> {
        match self {
            Self::Short(prices) => Some(prices.on(route, discount)),
            Self::List(prices) => list_on(prices, route, discount),
        }
    }
}

impl ShortPrices {
    fn on(&self, route: Route, discount: Fraction) -> Tariff {
        let paid = |price: Money| match route {
            Route::Realtime => price,
            Route::Batch => discount.off(price),
        };
        Tariff(vec![Step {
            above: 0,
            input: paid(self.input_per_mtok_usd),
            cached_input: paid(self.cached_input_per_mtok_usd.unwrap_or(self.input_per_mtok_usd)),
            output: paid(self.output_per_mtok_usd),
        }])
    }
}

fn list_on(prices: &[Price], route: Route, discount: Fraction) -> Option<Tariff> {
    let mut bounds: Vec<u64> = prices.iter().map(|price| price.above_input_tokens.unwrap_or(0)).collect();
    bounds.push(0);
    bounds.sort_unstable();
    bounds.dedup();
    let of = |kind: PriceKind, route: Route, above: u64| {
        let fits = |price: &&Price| {
            price.kind == kind && price.route == route && price.above_input_tokens.unwrap_or(0) <= above
        };
        prices.iter().filter(fits).max_by_key(|price| price.above_input_tokens).map(|price| price.per_mtok_usd)
    };
    let paid = |kind: PriceKind, above: u64| {
        of(kind, route, above).or_else(|| match route {
            Route::Batch => of(kind, Route::Realtime, above).map(|price| discount.off(price)),
            Route::Realtime => of(kind, Route::Batch, above),
        })
    };
    let step = |above: u64| {
        let input = paid(PriceKind::Input, above)?;
        let cached_input = paid(PriceKind::CachedInput, above).unwrap_or(input);
        Some(Step { above, input, cached_input, output: paid(PriceKind::Output, above)? })
    };
    bounds.into_iter().map(step).collect::<Option<_>>().map(Tariff)
}

impl Tariff {
    /// What an answer cost.
    pub fn cost(&self, usage: &Usage) -> Money {
        let step = self.0.iter().rev().find(|step| usage.input_tokens > step.above || step.above == 0);
        let step = step.expect("a tariff has a step from 0 on");
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        step.input.per_million_tokens(usage.input_tokens - cached)
            + step.cached_input.per_million_tokens(cached)
            + step.output.per_million_tokens(usage.output_tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Money {
        text.parse().expect("an amount")
    }

    fn usage(input: u64, cached: u64, output: u64) -> Usage {
        Usage { input_tokens: input, cached_input_tokens: cached, output_tokens: output }
    }

    #[test]
    fn short_prices_are_halved_for_provider_batches() {
        let prices: Prices = serde_json::from_str(
            r#"{"input_per_mtok_usd":"2","cached_input_per_mtok_usd":"1","output_per_mtok_usd":"10"}"#,
        )
        .expect("prices");
        let cost =
            |route| prices.on(route, Fraction::HALF).expect("a tariff").cost(&usage(1_000_000, 500_000, 100_000));
        assert_eq!((cost(Route::Realtime), cost(Route::Batch)), (usd("2.5"), usd("1.25")));
    }

    #[test]
    fn a_list_has_steps_and_its_own_batch_prices() {
        let prices: Prices = serde_json::from_str(
            r#"[{"kind":"input","route":"realtime","per_mtok_usd":"1"},
                {"kind":"input","route":"realtime","above_input_tokens":200000,"per_mtok_usd":"2"},
                {"kind":"input","route":"batch","per_mtok_usd":"0.3"},
                {"kind":"output","route":"realtime","per_mtok_usd":"4"},
                {"kind":"cache_write_1h","route":"realtime","per_mtok_usd":"9"}]"#,
        )
        .expect("prices");
        let realtime = prices.on(Route::Realtime, Fraction::HALF).expect("a tariff");
        assert_eq!(realtime.cost(&usage(200_000, 0, 0)), usd("0.2"));
        assert_eq!(realtime.cost(&usage(300_000, 0, 0)), usd("0.6"));
        let batch = prices.on(Route::Batch, "0.25".parse().expect("a fraction")).expect("a tariff");
        assert_eq!(batch.cost(&usage(1_000_000, 0, 1_000_000)), usd("3.3"));
        assert_eq!(Prices::List(Vec::new()).on(Route::Batch, Fraction::HALF), None);
    }

    #[test]
    fn fractions_are_exact_both_ways() {
        for text in ["0.0", "0.5", "0.333333", "1.0"] {
            assert_eq!(text.parse::<Fraction>().expect(text).to_string(), text);
        }
        for text in ["", "2", "1.1", "-0.5", "0.1234567", "0.x", "50%"] {
            assert_eq!(text.parse::<Fraction>(), Err(InvalidFraction), "{text}");
        }
    }

    #[test]
    fn what_is_left_is_rounded_up() {
        assert_eq!(Fraction::HALF.off(Money(3)), Money(2));
        assert_eq!("0".parse::<Fraction>().expect("a fraction").off(Money(3)), Money(3));
    }
}
