//! Rows of a job.

use serde::Deserialize;
use serde_json::Value;

use super::{Answer, Client, Page, Result, Usage};

/// One input row and how it stands.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Item {
    /// From 0.
    pub row: u64,
    /// `pending`, `running`, `succeeded`, `failed`, `cancelled` or `expired`.
    pub status: String,
    #[serde(default)]
    pub error_code: Option<String>,
    #[serde(default)]
    pub error: Option<String>,
    /// A number in a page; the attempts themselves where one row was asked for.
    #[serde(default)]
    pub attempts: Value,
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub usage: Option<Usage>,
    #[serde(default)]
    pub response: Option<Value>,
}

impl Client {
    /// A page of a job's rows, in order; `status` filters, `limit` is the page's length.
    pub async fn items(
        &self,
        job_id: &str,
        status: Option<&str>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Item>> {
        let request = self
            .get(&["v1", "jobs", job_id, "items"])
            .query(&[("status", status), ("cursor", cursor)])
            .query(&[("limit", limit)]);
        self.fetch(request).await
    }

    /// One row with its attempts.
    pub async fn item(&self, job_id: &str, row: u64) -> Result<Answer<Item>> {
        self.fetch(self.get(&["v1", "jobs", job_id, "items", &row.to_string()])).await
    }
}
