//! API keys.

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::api::request::Repeat;
use crate::api::{Answer, Client, Page, Result};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Key {
    /// `key_…`: names the key, and is no secret.
    pub id: String,
    /// The secret itself. Only in the answer to its creation.
    #[serde(default)]
    pub key: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub scopes: Vec<String>,
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub revoked_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub last_used_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewKey {
    pub name: String,
    /// Such as `jobs:read` and `jobs:write`. Empty: the service's default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

impl Client {
    pub async fn create_key(&self, tenant_id: &str, key: &NewKey) -> Result<Answer<Key>> {
        let request = self.request(Method::POST, &["v1", "admin", "tenants", tenant_id, "keys"]).json(key);
        self.call(request, Repeat::IfNotDone).await
    }

    pub async fn keys(&self, tenant_id: &str, cursor: Option<&str>) -> Result<Page<Key>> {
        self.fetch(self.get(&["v1", "admin", "tenants", tenant_id, "keys"]).query(&[("cursor", cursor)])).await
    }

    pub async fn revoke_key(&self, tenant_id: &str, key_id: &str) -> Result<()> {
        let request = self.request(Method::DELETE, &["v1", "admin", "tenants", tenant_id, "keys", key_id]);
        self.perform(request, Repeat::Safe).await
    }
}
