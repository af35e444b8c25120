//! The models that this worker calls, as the capability table has them now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use db::providers::Capability;
use domain::provider::{self, Fraction, LimitGroup, ModelName, RealtimeLimits, Tariff};
use domain::route::Route;
use providers::{Driver, Endpoint};
use secrecy::{ExposeSecret, SecretString};

use crate::run::limits::Group;
use crate::{Context, StepError};

/// A model with all that a call needs.
pub(crate) struct Model {
    pub name: ModelName,
    pub driver: Arc<dyn Driver>,
    pub group: Arc<Group>,
    /// `None`: prices are not known.
    pub tariff: Option<Tariff>,
    version: Version,
}

/// Changes whenever the driver has to be made anew.
#[derive(PartialEq, Eq)]
struct Version {
    provider: i64,
    model: i64,
    secret: Option<String>,
}

/// Models and limit groups by name. Looked up for every dispatch, so that a changed record counts at the next one.
#[derive(Default)]
pub struct Registry {
    models: Mutex<HashMap<ModelName, Arc<Model>>>,
    groups: Mutex<HashMap<LimitGroup, Arc<Group>>>,
}

impl Registry {
    pub(crate) async fn model(&self, context: &Context, name: &ModelName) -> Result<Arc<Model>, StepError> {
        let mut tx = context.db.scheduler().await?;
        let capability = db::providers::capability(&mut tx, name).await?;
        let credential = match capability.as_ref().and_then(|capability| capability.provider.credential.as_deref()) {
            Some(name) => db::credentials::get(&mut tx, &context.master_key, name).await?,
            None => None,
        };
        tx.commit().await?;
        let secret = credential.map(|credential| credential.secret);
        let unusable = |what: String| StepError::Retry { what, source: None };
        let capability = capability.ok_or_else(|| unusable(format!("the model {name} is not configured")))?;
        if !capability.has_credential {
            return Err(unusable(format!("the credential of the model {name} is not stored")));
        }
        let version = Version {
            provider: capability.provider_version,
            model: capability.model_version,
            secret: secret.as_ref().map(|secret| secret.expose_secret().to_owned()),
        };
        if let Some(model) = self.known(name)
            && model.version == version
        {
            return Ok(model);
        }
        let model = Arc::new(self.connect(context, capability, secret, version).await?);
        lock(&self.models).insert(name.clone(), model.clone());
        Ok(model)
    }

    /// The model as it was when it was last looked up.
    pub(crate) fn known(&self, name: &ModelName) -> Option<Arc<Model>> {
        lock(&self.models).get(name).cloned()
    }

    async fn connect(
        &self,
        context: &Context,
        capability: Capability,
        secret: Option<SecretString>,
        version: Version,
    ) -> Result<Model, StepError> {
        let limits = provider::realtime_of(&capability.provider, &capability.model).unwrap_or_default();
        let timeout = limits.timeout_s.unwrap_or(RealtimeLimits::DEFAULT_TIMEOUT_S);
        let group = LimitGroup::of(&capability.name.provider, &capability.provider, &capability.model);
        let endpoint = Endpoint {
            base_url: capability.provider.base_url,
            secret,
            upstream_model: capability.model.upstream_model,
            max_output_tokens: capability.model.max_output_tokens,
            timeout: Duration::from_secs(timeout.into()),
            options: capability.provider.options,
        };
        let tariff = capability.model.prices.and_then(|prices| prices.on(Route::Realtime, Fraction::default()));
        Ok(Model {
            name: capability.name,
            driver: providers::connect(capability.provider.driver, context.http.clone(), endpoint).realtime,
            group: self.group(context, group, limits).await?,
            tariff,
            version,
        })
    }

    /// A group keeps its state for as long as its limits stay the same.
    async fn group(
        &self,
        context: &Context,
        name: LimitGroup,
        limits: RealtimeLimits,
    ) -> Result<Arc<Group>, StepError> {
        if let Some(group) = lock(&self.groups).get(&name)
            && *group.limits() == limits
        {
            return Ok(group.clone());
        }
        let mut tx = context.db.scheduler().await?;
        let pause = db::limit_groups::pause(&mut tx, &name).await?;
        tx.commit().await?;
        let group = Arc::new(Group::new(name.clone(), limits, pause.is_some(), context));
        lock(&self.groups).insert(name, group.clone());
        Ok(group)
    }
}

/// Whoever panicked while holding it left a map that is still a map.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
