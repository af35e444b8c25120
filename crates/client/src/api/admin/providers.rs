//! Credentials, provider records and model records. Records are sent and given as JSON: the service checks their fields.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{Client, Result};

impl Client {
    /// Creates or replaces a credential; `secret` is a string, or an object for signed schemes. It can't be read back.
    pub async fn put_credential(&self, name: &str, secret: &Value) -> Result<Value> {
        let request = self.request(Method::PUT, &["v1", "admin", "credentials", name]).json(&json!({"secret": secret}));
        self.fetch(request).await
    }

    /// Creates or replaces a provider record.
    pub async fn put_provider(&self, provider_id: &str, record: &Value) -> Result<Value> {
        let request = self.request(Method::PUT, &["v1", "admin", "providers", provider_id]).json(record);
        self.fetch(request).await
    }

    pub async fn provider(&self, provider_id: &str) -> Result<Value> {
        self.fetch(self.get(&["v1", "admin", "providers", provider_id])).await
    }

    /// Creates or replaces a model record. The model's name may hold slashes.
    pub async fn put_model(&self, provider_id: &str, model: &str, record: &Value) -> Result<Value> {
        let segments = ["v1", "admin", "providers", provider_id, "models", model];
        self.fetch(self.request(Method::PUT, &segments).json(record)).await
    }
}
