//! Teams.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::request::Repeat;
use crate::api::{Answer, Client, Page, Result};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Tenant {
    /// `ten_…`.
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    /// `active` or `suspended`.
    #[serde(default)]
    pub status: Option<String>,
    /// Its share of what tenants compete for, in relation to theirs.
    #[serde(default)]
    pub weight: Option<u32>,
}

/// What a tenant is to be. What is left out stays, or takes its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TenantChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub quotas: Map<String, Value>,
    /// `active` or `suspended`; not when creating.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl Client {
    pub async fn create_tenant(&self, tenant: &TenantChange) -> Result<Answer<Tenant>> {
        let request = self.request(Method::POST, &["v1", "admin", "tenants"]).json(tenant);
        self.call(request, Repeat::IfNotDone).await
    }

    pub async fn update_tenant(&self, tenant_id: &str, change: &TenantChange) -> Result<Answer<Tenant>> {
        self.fetch(self.request(Method::PATCH, &["v1", "admin", "tenants", tenant_id]).json(change)).await
    }

    pub async fn tenant(&self, tenant_id: &str) -> Result<Answer<Tenant>> {
        self.fetch(self.get(&["v1", "admin", "tenants", tenant_id])).await
    }

    pub async fn tenants(&self, cursor: Option<&str>) -> Result<Page<Tenant>> {
        self.fetch(self.get(&["v1", "admin", "tenants"]).query(&[("cursor", cursor)])).await
    }
}
