//! Credentials, provider records and model records. Records are sent and given as JSON: the service checks their fields.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::request::Repeat;
use crate::api::{Client, Page, Result};

/// What a list of provider records shows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProviderRow {
    pub id: String,
    #[serde(default)]
    pub driver: Option<String>,
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub credential: Option<String>,
    #[serde(default)]
    pub version: Option<i64>,
}

/// What a list of model records shows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ModelRow {
    /// `{provider}/{model}`.
    pub id: String,
    #[serde(default)]
    pub upstream_model: Option<String>,
    #[serde(default)]
    pub version: Option<i64>,
}

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

    /// A page of the provider records, by id.
    pub async fn providers(&self, cursor: Option<&str>) -> Result<Page<ProviderRow>> {
        self.fetch(self.get(&["v1", "admin", "providers"]).query(&[("limit", Some("100")), ("cursor", cursor)])).await
    }

    /// Deletes a provider record and its models' records.
    pub async fn delete_provider(&self, provider_id: &str) -> Result<()> {
        let request = self.request(Method::DELETE, &["v1", "admin", "providers", provider_id]);
        self.perform(request, Repeat::Safe).await
    }

    pub async fn provider(&self, provider_id: &str) -> Result<Value> {
        self.fetch(self.get(&["v1", "admin", "providers", provider_id])).await
    }

    /// Creates or replaces a model record. The model's name may hold slashes.
    pub async fn put_model(&self, provider_id: &str, model: &str, record: &Value) -> Result<Value> {
        let segments = ["v1", "admin", "providers", provider_id, "models", model];
        self.fetch(self.request(Method::PUT, &segments).json(record)).await
    }

    /// A model record. What tenants see of models is [`Client::models`].
    pub async fn model_record(&self, provider_id: &str, model: &str) -> Result<Value> {
        self.fetch(self.get(&["v1", "admin", "providers", provider_id, "models", model])).await
    }

    /// A page of all providers' model records, by name.
    pub async fn model_records(&self, cursor: Option<&str>) -> Result<Page<ModelRow>> {
        self.fetch(self.get(&["v1", "admin", "models"]).query(&[("limit", Some("100")), ("cursor", cursor)])).await
    }

    pub async fn delete_model(&self, provider_id: &str, model: &str) -> Result<()> {
        let request = self.request(Method::DELETE, &["v1", "admin", "providers", provider_id, "models", model]);
        self.perform(request, Repeat::Safe).await
    }
}
