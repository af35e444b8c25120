//! Provider and model records as bodies: checked field by field, kept as they were sent.

mod batch;
mod model;
mod prices;
mod provider;
mod realtime;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub(super) use self::batch::BatchSchema;
pub(super) use self::model::model;
pub(crate) use self::prices::PricesSchema;
pub(super) use self::provider::provider;
pub(crate) use self::realtime::RealtimeSchema;
use crate::body::Fields;
use crate::problem::Problem;

/// A record to store.
#[derive(Debug)]
pub(super) struct Put<T> {
    /// As it is kept.
    pub json: Value,
    pub record: T,
    /// The version that it is to replace, where the caller names one.
    pub expected: Option<i64>,
}

impl<T: DeserializeOwned> Put<T> {
    /// Of a body that was checked.
    fn new(mut body: Value, expected: Option<i64>) -> Result<Self, Problem> {
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|name, value| match name.as_str() {
                "id" | "version" => false,
                // Of these, a null says that there is none.
                "realtime" | "batch" => true,
                _ => !value.is_null(),
            });
        }
        let record = T::deserialize(&body).map_err(|error| Problem::internal(&error))?;
        Ok(Self { json: body, record, expected })
    }
}

/// What a record that was looked up says about itself, so that it can be changed and sent back. Returns the version.
fn identity(fields: &mut Fields<'_>, id: &str) -> Option<i64> {
    if fields.text("id").is_some_and(|given| given != id) {
        fields.report("id", "invalid_value", format!("the path says `{id}`; leave it out, or say the same"));
    }
    fields.integer("version", 1..=i64::MAX)
}

/// A part of a record, as it was sent.
pub(super) fn part(json: &Value, name: &str, absent: Value) -> Value {
    json.get(name).cloned().unwrap_or(absent)
}
