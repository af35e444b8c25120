//! Pages of lists: `limit` and `after`.

use serde_json::{Value, json};

use super::error::ApiError;
use crate::call::Call;
use crate::reply::Reply;

/// A page of a list.
pub(super) struct Page<'a, T> {
    items: &'a [T],
    has_more: bool,
    id: fn(&T) -> &str,
}

impl<'a, T> Page<'a, T> {
    /// What `limit` and `after` ask for.
    pub fn new(call: &Call<'_>, all: &'a [T], id: fn(&T) -> &str, usual: usize, most: usize) -> Result<Self, ApiError> {
        let limit = match call.parameter("limit") {
            None => usual,
            Some(text) => {
                let message = || format!("Invalid 'limit': expected 1 to {most}, but got '{text}'.");
                let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
                limit.ok_or_else(|| ApiError::parameter("limit", "invalid_value", message()))?
            }
        };
        let start = match call.parameter("after") {
            None => 0,
            Some(after) => {
                let message = || format!("Invalid 'after': there is no '{after}'.");
                let at = all.iter().position(|item| id(item) == after);
                at.ok_or_else(|| ApiError::parameter("after", "invalid_value", message()))? + 1
            }
        };
        let end = start.saturating_add(limit).min(all.len());
        Ok(Self { items: &all[start..end], has_more: end < all.len(), id })
    }

    pub fn reply(&self, object: impl Fn(&T) -> Value) -> Reply {
        let data: Vec<_> = self.items.iter().map(object).collect();
        Reply::json(&json!({
            "object": "list",
            "data": data,
            "first_id": self.items.first().map(self.id),
            "last_id": self.items.last().map(self.id),
            "has_more": self.has_more,
        }))
    }
}
