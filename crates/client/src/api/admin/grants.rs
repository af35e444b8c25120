//! Storage that a tenant may use.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::api::request::Repeat;
use crate::api::{Answer, Client, Page, Result};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Grant {
    pub id: String,
    pub uri_prefix: String,
    /// `read`, `write` or `read_write`.
    #[serde(default)]
    pub access: Option<String>,
    #[serde(default)]
    pub credential: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewGrant {
    /// `s3://bucket/path/`.
    pub uri_prefix: String,
    /// `read`, `write` or `read_write`.
    pub access: String,
    /// Name of a stored credential. None: the service's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl Client {
    pub async fn create_grant(&self, tenant_id: &str, grant: &NewGrant) -> Result<Answer<Grant>> {
        let request = self.request(Method::POST, &["v1", "admin", "tenants", tenant_id, "grants"]).json(grant);
        self.call(request, Repeat::IfNotDone).await
    }

    pub async fn grants(&self, tenant_id: &str, cursor: Option<&str>) -> Result<Page<Grant>> {
        self.fetch(self.get(&["v1", "admin", "tenants", tenant_id, "grants"]).query(&[("cursor", cursor)])).await
    }

    pub async fn delete_grant(&self, tenant_id: &str, grant_id: &str) -> Result<()> {
        let request = self.request(Method::DELETE, &["v1", "admin", "tenants", tenant_id, "grants", grant_id]);
        self.perform(request, Repeat::Safe).await
    }
}
