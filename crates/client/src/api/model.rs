//! Models that a tenant may use.

use serde::Deserialize;

use super::{Client, Page, Result};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Model {
    /// `{provider}/{model}`, as a submission names it.
    pub id: String,
    #[serde(default)]
    pub context_tokens: Option<u64>,
    #[serde(default)]
    pub max_output_tokens: Option<u64>,
}

impl Client {
    /// A page of the models that this key's tenant may use.
    pub async fn models(&self, cursor: Option<&str>) -> Result<Page<Model>> {
        self.fetch(self.get(&["v1", "models"]).query(&[("cursor", cursor)])).await
    }
}
