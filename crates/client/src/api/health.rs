//! Whether the service lives.

use super::request::Repeat;
use super::{Client, Result};

impl Client {
    /// Whether the service's process answers. Needs no key.
    pub async fn health(&self) -> Result<()> {
        self.perform(self.get(&["healthz"]), Repeat::Safe).await
    }

    /// Whether the service can do its work: its database and storage answer. Needs no key.
    pub async fn ready(&self) -> Result<()> {
        self.perform(self.get(&["readyz"]), Repeat::Safe).await
    }
}
