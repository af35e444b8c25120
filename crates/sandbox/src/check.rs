//! What a parameter may be.

use crate::value::Value;

/// What a parameter may be, besides null.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Check {
    /// Accepted as it is, without effect on the answer.
    Any,
    Flag,
    Text,
    /// Of texts, at most so many.
    Texts {
        most: usize,
    },
    List,
    Object,
    Integer {
        min: i64,
    },
    Number {
        min: f64,
        max: f64,
    },
    /// Known to the provider and refused here.
    Unsupported,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Problem {
    /// It is not one of these.
    Type {
        expected: &'static str,
    },
    /// An integer or a decimal below its least value.
    Below {
        integer: bool,
        min: f64,
        got: f64,
    },
    Above {
        max: f64,
        got: f64,
    },
    Unsupported,
}

impl Check {
    pub fn judge(self, value: &Value<'_>) -> Result<(), Problem> {
        match (self, value) {
            (_, Value::Null)
            | (Self::Any, _)
            | (Self::Flag, Value::Flag(_))
            | (Self::Text, Value::Text(_))
            | (Self::List, Value::List(_))
            | (Self::Object, Value::Object(_)) => Ok(()),
            (Self::Unsupported, _) => Err(Problem::Unsupported),
            (Self::Texts { most }, Value::List(texts))
                if texts.len() <= most && texts.iter().all(|text| matches!(text, Value::Text(_))) =>
            {
                Ok(())
            }
            (Self::Integer { min }, Value::Integer(number)) if *number >= min => Ok(()),
            (Self::Integer { min }, Value::Integer(number)) => {
                Err(Problem::Below { integer: true, min: decimal(min), got: decimal(*number) })
            }
            (Self::Number { min, max }, Value::Integer(number)) => in_range(decimal(*number), min, max),
            (Self::Number { min, max }, Value::Number(number)) => in_range(*number, min, max),
            (other, _) => Err(Problem::Type { expected: other.expected() }),
        }
    }

    /// As error messages call it.
    fn expected(self) -> &'static str {
        match self {
            Self::Any | Self::Unsupported => "nothing",
            Self::Flag => "a boolean",
            Self::Text => "a string",
            Self::Texts { .. } => "a short array of strings",
            Self::List => "an array",
            Self::Object => "an object",
            Self::Integer { .. } => "an integer",
            Self::Number { .. } => "a decimal",
        }
    }
}

fn in_range(got: f64, min: f64, max: f64) -> Result<(), Problem> {
    if got < min {
        Err(Problem::Below { integer: false, min, got })
    } else if got > max {
        Err(Problem::Above { max, got })
    } else {
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "only compared with bounds of a few digits, and printed")]
fn decimal(number: i64) -> f64 {
    number as f64
}
