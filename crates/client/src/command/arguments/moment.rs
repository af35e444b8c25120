//! A moment: a date, or a span from now.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};

use super::span;
use crate::command::{CommandError, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    At(DateTime<Utc>),
    After(TimeDelta),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(time.to_utc()));
        }
        let invalid =
            || format!("`{text}` is neither a time (2026-11-22T06:00:00Z) nor a span of time (6h, 1h30m, 2d)");
        let span = span::parse(text).map_err(|_| invalid())?;
        TimeDelta::from_std(span).map(Self::After).map_err(|_| invalid())
    }
}

impl Moment {
    /// The time itself.
    pub fn from(self, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
        match self {
            Self::At(time) => Ok(time),
            Self::After(span) => {
                now.checked_add_signed(span).ok_or_else(|| CommandError::Usage("that is too far away".to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_span_from_now() {
        let now: DateTime<Utc> = "2026-11-21T00:00:00Z".parse().expect("a time");
        for (text, expected) in [("6h", "2026-11-21T06:00:00Z"), ("2026-11-22T06:00:00+02:00", "2026-11-22T04:00:00Z")]
        {
            let moment: Moment = text.parse().expect(text);
            assert_eq!(moment.from(now).expect("in range"), expected.parse::<DateTime<Utc>>().expect("a time"));
        }
        assert!("tomorrow".parse::<Moment>().is_err());
    }
}
