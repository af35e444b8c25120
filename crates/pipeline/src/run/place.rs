//! Where a provider batch lives: the records as they were when it was formed. It finishes where it began.

use std::sync::Arc;
use std::time::Duration;

use db::providers::Capability;
use domain::provider::{self, BatchLimits, ModelRecord, ProviderRecord, Tariff};
use domain::route::Route;
use providers::{BatchDriver, Endpoint};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{Context, StepError};

/// Time for one call about a provider batch; transfers of files have their own.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Place {
    provider: ProviderRecord,
    model: ModelRecord,
}

impl Place {
    pub(crate) fn of(capability: Capability) -> Self {
        Self { provider: capability.provider, model: capability.model }
    }

    pub(crate) fn from_json(json: serde_json::Value) -> Result<Self, StepError> {
        serde_json::from_value(json).map_err(|error| StepError::retry("the place of a provider batch", error))
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("records are structs with string keys")
    }

    /// `None`: there is no batch API.
    pub(crate) fn limits(&self) -> Option<BatchLimits> {
        provider::batch_of(&self.provider, &self.model)
    }

    pub(crate) fn has_realtime(&self) -> bool {
        provider::realtime_of(&self.provider, &self.model).is_some()
    }

    /// Whether the provider finds out at the end only that requests are wrong.
    pub(crate) fn checks_late(&self, context: &Context) -> bool {
        self.driver(context, None).is_some_and(|driver| driver.habits().checks_late)
    }

    pub(crate) fn tariff(&self, route: Route) -> Option<Tariff> {
        let discount = self.limits().unwrap_or_default().discount();
        self.model.prices.as_ref()?.on(route, discount)
    }

    /// The driver, with the credential of this name and version.
    pub(crate) async fn connect(
        &self,
        context: &Context,
        credential: Option<&str>,
        version: Option<i64>,
    ) -> Result<Arc<dyn BatchDriver>, StepError> {
        let secret = match credential {
            Some(name) => secret(context, name, version).await?,
            None => None,
        };
        self.driver(context, secret)
            .ok_or_else(|| StepError::Retry { what: "the driver has no batch API".to_owned(), source: None })
    }

    /// `None`: the driver has no batch API.
    pub(crate) fn driver(&self, context: &Context, secret: Option<SecretString>) -> Option<Arc<dyn BatchDriver>> {
        let endpoint = Endpoint {
            base_url: self.provider.base_url.clone(),
            secret,
            upstream_model: self.model.upstream_model.clone(),
            max_output_tokens: self.model.max_output_tokens,
            timeout: CALL_TIMEOUT,
            options: self.provider.options.clone(),
        };
        providers::connect(self.provider.driver, context.http.clone(), endpoint).batch
    }
}

/// The secret that a dispatch was formed with. One that is forgotten is replaced by its successor.
async fn secret(context: &Context, name: &str, version: Option<i64>) -> Result<Option<SecretString>, StepError> {
    let mut tx = context.db.scheduler().await?;
    let mut secret = None;
    if let Some(version) = version {
        secret = db::credentials::get_version(&mut tx, &context.master_key, name, version).await?;
    }
    if secret.is_none() {
        secret = db::credentials::get(&mut tx, &context.master_key, name).await?.map(|credential| credential.secret);
    }
    tx.commit().await?;
    Ok(secret)
}
