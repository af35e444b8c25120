//! Replies that are odd in one place.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// An odd value of one field is no reason to lose what the others say: it is absent.
pub(crate) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
