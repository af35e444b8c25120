//! What the service answered, typed and as it came.

use std::ops::Deref;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A typed value together with the JSON that it came from, so that fields this client doesn't know are not lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    pub value: T,
    pub json: Value,
}

impl<T> Deref for Answer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Answer<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        let value = T::deserialize(&json).map_err(D::Error::custom)?;
        Ok(Self { value, json })
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub struct Page<T> {
    pub data: Vec<Answer<T>>,
    /// Asks for the page after this one. None: this is the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Known {
        known: u32,
    }

    #[test]
    fn an_answer_keeps_fields_that_its_type_does_not_know() {
        let text = r#"{"zebra":1.50,"known":7,"apple":null}"#;
        let answer: Answer<Known> = serde_json::from_str(text).expect("an answer");
        assert_eq!(answer.known, 7);
        assert_eq!(answer.json.to_string(), r#"{"zebra":1.5,"known":7,"apple":null}"#);
    }
}
