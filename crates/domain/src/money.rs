//! Exact money: no float ever touches a price.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount in 10⁻¹² US dollars: a token at 0.000001 USD per million tokens is still a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(pub i64);

/// Picodollars in a dollar.
const PER_USD: i64 = 1_000_000_000_000;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an amount in USD: write a decimal string such as \"0.25\", with at most 12 decimals and below 9 million")]
pub struct InvalidMoney;

impl Money {
    pub const ZERO: Self = Self(0);

    pub const fn from_usd(usd: i64) -> Self {
        Self(usd * PER_USD)
    }

    /// What `tokens` cost at this price per million tokens, rounded up to a whole 10⁻¹² USD.
    #[must_use]
    pub fn per_million_tokens(self, tokens: u64) -> Self {
        let pico = (i128::from(self.0) * i128::from(tokens)).div_euclid(1_000_000)
            + i128::from((i128::from(self.0) * i128::from(tokens)).rem_euclid(1_000_000) != 0);
        Self(i64::try_from(pico).unwrap_or(i64::MAX))
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// At least two decimals, more where the amount has them: `0.25`, `0.000125`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let pico = self.0.unsigned_abs();
        let decimals = format!("{:012}", pico % PER_USD.unsigned_abs());
        let shown = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{sign}{}.{}", pico / PER_USD.unsigned_abs(), &decimals[..shown])
    }
}

impl FromStr for Money {
    type Err = InvalidMoney;

    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 7 || decimals.len() > 12 || !digits(whole) || !digits(decimals) {
            return Err(InvalidMoney);
        }
        let whole: i64 = whole.parse().map_err(|_| InvalidMoney)?;
        let decimals: i64 = format!("{decimals:0<12}").parse().map_err(|_| InvalidMoney)?;
        whole.checked_mul(PER_USD).and_then(|pico| pico.checked_add(decimals)).map(Self).ok_or(InvalidMoney)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_exact_both_ways() {
        for text in ["0.00", "0.25", "2.00", "0.000000000001", "8999999.99"] {
            assert_eq!(text.parse::<Money>().expect(text).to_string(), text);
        }
        assert_eq!("3".parse::<Money>(), Ok(Money::from_usd(3)));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", ".5", "-1", "1e3", "1.0000000000001", "12345678", "NaN", "1,5"] {
            assert_eq!(text.parse::<Money>(), Err(InvalidMoney), "{text}");
        }
    }

    #[test]
    fn tokens_are_billed_exactly_and_rounded_up() {
        let price: Money = "0.25".parse().expect("an amount");
        assert_eq!(price.per_million_tokens(1_000_000), price);
        assert_eq!(price.per_million_tokens(1), Money(250_000));
        assert_eq!(Money(1).per_million_tokens(1), Money(1));
    }
}
