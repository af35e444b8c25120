//! Query parameters: each at most once, none unknown.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::problem::{Problem, Problems};

/// The parameters of a query; taken out one by one.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    problems: Problems,
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

/// The query of a call that takes no parameters.
pub(crate) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::from_request_parts(parts, state).await?.finish().map(|()| Self)
    }
}

impl Query {
    fn parse(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { pairs, problems: Problems::default() }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let position = self.pairs.iter().position(|(known, _)| known == name)?;
        let value = self.pairs.remove(position).1;
        if self.pairs.iter().any(|(known, _)| known == name) {
            self.pairs.retain(|(known, _)| known != name);
            self.report(name, "invalid_value", format!("`{name}` is given more than once"));
        }
        if value.contains('\0') {
            self.report(name, "invalid_string", "a NUL character can't be kept".to_owned());
            return None;
        }
        Some(value)
    }

    /// All parameters whose names begin with `prefix`, without it.
    pub(crate) fn take_prefixed(&mut self, prefix: &str) -> Vec<(String, String)> {
        let names: Vec<_> =
            self.pairs.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(name, _)| name.clone()).collect();
        names.into_iter().filter_map(|name| Some((name[prefix.len()..].to_owned(), self.take(&name)?))).collect()
    }

    /// One of some names.
    pub(crate) fn choice<T>(&mut self, name: &str, known: &[&str], parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.take(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.report(name, "invalid_value", format!("expected one of: {}", known.join(", ")));
        }
        value
    }

    /// How many entries a page has. More than there may be counts as the most.
    pub(crate) fn limit(&mut self) -> usize {
        const MOST: u64 = 100;
        const DEFAULT: u64 = 20;
        let limit = self.number("limit", 1).unwrap_or(DEFAULT).min(MOST);
        usize::try_from(limit).expect("at most 100")
    }

    /// A whole number of at least `least`.
    pub(crate) fn number(&mut self, name: &str, least: u64) -> Option<u64> {
        let text = self.take(name)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| u64::from_str(&text).unwrap_or(u64::MAX)).filter(|number| *number >= least);
        if number.is_none() {
            self.report(name, "invalid_value", format!("expected a whole number from {least} on"));
        }
        number
    }

    /// Parameters of the contract whose work is not done yet.
    pub(crate) fn later(&mut self, names: &[&str]) {
        for name in names {
            if self.take(name).is_some() {
                self.report(name, "not_yet_supported", format!("`{name}` is not supported yet"));
            }
        }
    }

    /// What nobody has taken is unknown.
    ///
    /// # Errors
    /// All that was wrong.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.report(&name, "unknown_field", format!("there is no query parameter `{name}` here"));
        }
        self.problems.check()
    }

    fn report(&mut self, name: &str, code: &'static str, message: String) {
        self.problems.report(format!("?{name}"), code, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b17_limits_are_checked_and_large_ones_mean_the_most() {
        for (query, expected) in [
            ("", Some(20)),
            ("limit=7", Some(7)),
            ("limit=1000000000", Some(100)),
            ("limit=0", None),
            ("limit=-1", None),
            ("limit=abc", None),
        ] {
            let mut query = Query::parse(query);
            let limit = query.limit();
            assert_eq!(query.finish().ok().map(|()| limit), expected);
        }
        let mut huge = Query::parse(&format!("limit={}", "9".repeat(40)));
        assert_eq!(huge.limit(), 100);
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        assert!(Query::parse("x=1").finish().is_err());
        let mut query = Query::parse("a=1&a=2");
        query.take("a");
        assert!(query.finish().is_err());
    }

    #[test]
    fn prefixed_parameters_lose_their_prefix() {
        let mut query = Query::parse("metadata.team=support&metadata.a.b=c");
        assert_eq!(query.take_prefixed("metadata."), [("team".into(), "support".into()), ("a.b".into(), "c".into())]);
        assert!(query.finish().is_ok());
    }
}
