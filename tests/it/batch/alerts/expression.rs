//! The part of PromQL that `deploy/alerts.yml` uses, over scrapes: `metric{a="b"} > 1`, `increase(metric[15m]) > 0`, `metric / metric > 1`.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};

type Labels = BTreeMap<String, String>;

/// What a process said at one moment: values by metric and labels.
#[derive(Debug, Default)]
pub struct Scrape(BTreeMap<(String, Labels), f64>);

impl Scrape {
    /// Reads Prometheus' text form, strictly.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut samples = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            ensure!(samples.insert(selector(series)?, value.parse()?).is_none(), "twice: {series}");
        }
        Ok(Self(samples))
    }

    /// The names of all metrics.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|(name, _)| name.as_str())
    }

    /// The names of all labels.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.keys().flat_map(|(_, labels)| labels.keys()).map(String::as_str)
    }

    /// The value of a series such as `metric{a="b"}`.
    pub fn value(&self, series: &str) -> anyhow::Result<f64> {
        self.0.get(&selector(series)?).copied().with_context(|| format!("no {series} in {self:#?}"))
    }

    /// Series of a metric that have at least these labels.
    fn select(&self, (name, labels): &(String, Labels)) -> BTreeMap<Labels, f64> {
        let fits = |own: &Labels| labels.iter().all(|(label, value)| own.get(label) == Some(value));
        self.0
            .iter()
            .filter(|((own_name, own), _)| own_name == name && fits(own))
            .map(|((_, own), value)| (own.clone(), *value))
            .collect()
    }
}

/// A name and labels, as in `metric{a="b",c="d"}`. No value here has a comma or a quote.
fn selector(text: &str) -> anyhow::Result<(String, Labels)> {
    let (name, labels) = match text.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').with_context(|| text.to_owned())?),
        None => (text, ""),
    };
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    ensure!(is_name(name), "no metric: `{text}`");
    let mut pairs = Labels::new();
    for pair in labels.split(',').filter(|pair| !pair.is_empty()) {
        let (label, value) = pair.split_once('=').with_context(|| text.to_owned())?;
        let value =
            value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).with_context(|| text.to_owned())?;
        pairs.insert(label.to_owned(), value.to_owned());
    }
    Ok((name.to_owned(), pairs))
}

/// Whether an expression holds for any series, `first` having been said a while before `last`.
pub fn holds(expression: &str, first: &Scrape, last: &Scrape) -> anyhow::Result<bool> {
    let mut words = expression.rsplitn(3, ' ');
    let (Some(bound), Some(operator), Some(left)) = (words.next(), words.next(), words.next()) else {
        bail!("no comparison: `{expression}`")
    };
    let bound: f64 = bound.parse()?;
    let values = values(left, first, last)?;
    match operator {
        ">" => Ok(values.into_values().any(|value| value > bound)),
        "<" => Ok(values.into_values().any(|value| value < bound)),
        _ => bail!("the operator of `{expression}`"),
    }
}

/// What stands left of the comparison, by series.
fn values(text: &str, first: &Scrape, last: &Scrape) -> anyhow::Result<BTreeMap<Labels, f64>> {
    if let Some(range) = text.strip_prefix("increase(").and_then(|text| text.strip_suffix("[15m])")) {
        let selector = selector(range)?;
        let before = first.select(&selector);
        // As in Prometheus, a series that has just appeared has not increased.
        let increase =
            |(labels, value): (Labels, f64)| before.get(&labels).map(|before| (labels.clone(), value - before));
        return Ok(last.select(&selector).into_iter().filter_map(increase).collect());
    }
    let Some((dividend, divisor)) = text.split_once(" / ") else { return Ok(last.select(&selector(text)?)) };
    let divisors = last.select(&selector(divisor)?);
    let ratio = |(labels, value): (Labels, f64)| divisors.get(&labels).map(|divisor| (labels.clone(), value / divisor));
    Ok(last.select(&selector(dividend)?).into_iter().filter_map(ratio).collect())
}

#[test]
fn expressions_mean_what_they_mean_to_prometheus() -> anyhow::Result<()> {
    let first = Scrape::parse("# HELP c x\nc{a=\"1\"} 3\n")?;
    let last = Scrape::parse("c{a=\"1\"} 4\nc{a=\"2\"} 9\ng{a=\"1\",b=\"x/y\"} 0.5\nd{a=\"1\"} 8\n")?;
    for (expression, expected) in [
        ("g > 0.4", true),
        ("g > 0.5", false),
        ("g < 1", true),
        ("nothing > 0", false),
        ("g{b=\"x/y\"} > 0", true),
        ("g{b=\"x\"} > 0", false),
        ("increase(c[15m]) > 0", true),
        ("increase(c[15m]) > 1", false),
        ("increase(c{a=\"2\"}[15m]) > 0", false),
        ("c / d > 0.4", true),
        ("c / d > 0.5", false),
        ("c / g > 0", false),
    ] {
        assert_eq!(holds(expression, &first, &last)?, expected, "{expression}");
    }
    for wrong in ["g", "g >= 1", "sum(g) > 1", "g > x", "rate(c[15m]) > 0"] {
        assert!(holds(wrong, &first, &last).is_err(), "{wrong}");
    }
    Ok(())
}
