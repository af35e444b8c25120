//! The words of a fault: a name, then `key=value` parameters.

use std::str::FromStr;
use std::time::Duration;

use super::{Fault, Retry};

/// Longest delay that a fault may ask for; nothing lasts longer in the sandbox.
pub(super) const LONGEST: Duration = Duration::from_mins(10);

/// The faults without parameters.
const PLAIN: [Fault; 25] = [
    Fault::InsufficientQuota,
    Fault::ContextLength,
    Fault::Timeout,
    Fault::DropBefore,
    Fault::DropAfter,
    Fault::ResetMidBody,
    Fault::Html,
    Fault::EmptyBody,
    Fault::TruncatedJson,
    Fault::WrongType,
    Fault::Endless,
    Fault::BadContentType,
    Fault::Refusal,
    Fault::Length,
    Fault::EmptyContent,
    Fault::NullContent,
    Fault::NoChoices,
    Fault::NoUsage,
    Fault::NegativeUsage,
    Fault::HugeUsage,
    Fault::ToolCall,
    Fault::LoneSurrogate,
    Fault::Nul,
    Fault::NulFinishReason,
    Fault::Unicode,
];

const RETRIES: [Retry; 7] =
    [Retry::None, Retry::Seconds, Retry::Ms, Retry::Date, Retry::Garbage, Retry::Huge, Retry::Past];

/// Why a text is not a fault. The sandbox answers it as a 400, so that a typing error in a test is seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFault {
    /// No fault has this name.
    #[error("unknown fault `{0}`; the sandbox's documentation lists them")]
    Name(String),
    /// A word after the name is not `key=value`.
    #[error("`{0}` is not of the form key=value")]
    Word(String),
    /// The fault has no such parameter.
    #[error("fault `{fault}` has no parameter `{parameter}`")]
    Parameter {
        /// The fault's name.
        fault: String,
        /// The parameter's name.
        parameter: String,
    },
    /// The value is not one that the parameter takes.
    #[error("fault `{fault}`: `{value}` is no valid `{parameter}`")]
    Value {
        /// The fault's name.
        fault: String,
        /// The parameter's name.
        parameter: &'static str,
        /// What was given.
        value: String,
    },
    /// A marker was opened and not closed.
    #[error("a marker begins with `[[sandbox:` and must end with `]]`")]
    Unclosed,
}

impl FromStr for Fault {
    type Err = InvalidFault;

    fn from_str(text: &str) -> Result<Self, InvalidFault> {
        let mut words = Words::split(text)?;
        let fault = words.fault()?;
        words.finish()?;
        Ok(fault)
    }
}

/// A name and its parameters; each parameter is taken once.
pub(crate) struct Words<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    pub fn split(text: &'a str) -> Result<Self, InvalidFault> {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let parameters = words
            .map(|word| word.split_once('=').ok_or_else(|| InvalidFault::Word(word.to_owned())))
            .collect::<Result<_, _>>()?;
        Ok(Self { name, parameters })
    }

    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Reads the fault, and takes its parameters.
    pub fn fault(&mut self) -> Result<Fault, InvalidFault> {
        match self.name {
            "status" => self.status(),
            "rate_limit" => Ok(Fault::RateLimit { retry: self.retry()?, delay: self.seconds("delay", 1.0)? }),
            "slow" => Ok(Fault::Slow { delay: self.ms(1000)? }),
            "drip" => Ok(Fault::Drip { interval: self.ms(100)? }),
            "oversized" => Ok(Fault::Oversized { bytes: self.number("bytes")?.unwrap_or(16 * 1024 * 1024) }),
            "content_filter" => match self.take("as") {
                None => Ok(Fault::ContentFilter { as_error: false }),
                Some("400") => Ok(Fault::ContentFilter { as_error: true }),
                Some(value) => Err(self.invalid("as", value)),
            },
            name => PLAIN
                .iter()
                .find(|fault| fault.name() == name)
                .cloned()
                .ok_or_else(|| InvalidFault::Name(name.to_owned())),
        }
    }

    /// A whole number, or None where the parameter is absent.
    pub fn number<T: FromStr>(&mut self, parameter: &'static str) -> Result<Option<T>, InvalidFault> {
        let Some(value) = self.take(parameter) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.invalid(parameter, value)),
        }
    }

    /// Refuses what was not taken.
    pub fn finish(self) -> Result<(), InvalidFault> {
        match self.parameters.first() {
            None => Ok(()),
            Some((parameter, _)) => {
                Err(InvalidFault::Parameter { fault: self.name.to_owned(), parameter: (*parameter).to_owned() })
            }
        }
    }

    fn status(&mut self) -> Result<Fault, InvalidFault> {
        let code = self.number("code")?.unwrap_or(500);
        if !(400..600).contains(&code) {
            return Err(self.invalid("code", &code.to_string()));
        }
        Ok(Fault::Status {
            code,
            error: self.take("error").map(str::to_owned),
            kind: self.take("type").map(str::to_owned),
        })
    }

    fn retry(&mut self) -> Result<Retry, InvalidFault> {
        let value = self.take("retry").unwrap_or("seconds");
        RETRIES.into_iter().find(|retry| retry.name() == value).ok_or_else(|| self.invalid("retry", value))
    }

    fn ms(&mut self, default: u64) -> Result<Duration, InvalidFault> {
        let ms = self.number("ms")?.unwrap_or(default);
        let duration = Duration::from_millis(ms);
        if duration > LONGEST {
            return Err(self.invalid("ms", &ms.to_string()));
        }
        Ok(duration)
    }

    fn seconds(&mut self, parameter: &'static str, default: f64) -> Result<Duration, InvalidFault> {
        let seconds = self.number(parameter)?.unwrap_or(default);
        Duration::try_from_secs_f64(seconds).map_err(|_| self.invalid(parameter, &seconds.to_string()))
    }

    /// The parameter's value, taken.
    pub fn take(&mut self, parameter: &str) -> Option<&'a str> {
        let at = self.parameters.iter().position(|(key, _)| *key == parameter)?;
        Some(self.parameters.remove(at).1)
    }

    fn invalid(&self, parameter: &'static str, value: &str) -> InvalidFault {
        InvalidFault::Value { fault: self.name.to_owned(), parameter, value: value.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in the first column of the README's table of faults.
    fn documented_names() -> Vec<&'static str> {
        include_str!("../../README.md")
            .lines()
            .skip_while(|line| *line != "## Faults")
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .map(|words| words.split(' ').next().unwrap_or_default())
            .collect()
    }

    #[test]
    fn every_documented_fault_parses_and_prints_itself() {
        let names = documented_names();
        for name in &names {
            let fault: Fault = name.parse().expect(name);
            assert_eq!(fault.name(), *name);
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert_eq!(names.len(), PLAIN.len() + 6);
    }

    #[test]
    fn parameters_are_kept() {
        for text in [
            "status code=404 error=gone type=odd",
            "rate_limit retry=date delay=0.25",
            "slow ms=7",
            "drip ms=3",
            "oversized bytes=99",
            "content_filter as=400",
        ] {
            assert_eq!(text.parse::<Fault>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "statis",
            "status 500",
            "status code=200",
            "status code=abc",
            "html ms=3",
            "slow ms=600001",
            "rate_limit retry=never",
            "rate_limit delay=-1",
            "content_filter as=500",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
