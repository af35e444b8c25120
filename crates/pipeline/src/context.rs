//! What every step needs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dataset::stores::{Location, StoreCredential, Stores};
use dataset::work::{JobFiles, WorkSpace};
use db::{Database, MasterKey};
use domain::backoff::Backoff;
use domain::ids::{JobId, TenantId};
use domain::storage_uri::StorageUri;
use providers::client::HttpClient;
use secrecy::ExposeSecret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Metrics, StepError};

/// Handles that a worker's tasks share.
#[derive(Debug, Clone)]
pub struct Context {
    pub db: Database,
    pub stores: Stores,
    pub work: WorkSpace,
    pub master_key: Arc<MasterKey>,
    pub http: HttpClient,
    pub metrics: Metrics,
    pub answers: AnswerMemory,
    pub options: Options,
}

/// Bounds how many answers of provider batches are in memory at once, over all steps. While a chunk is merged it takes some five times its
/// results: the lines, the answers in them, and the files that are made of those.
#[derive(Debug, Clone)]
pub struct AnswerMemory(Arc<Semaphore>);

impl AnswerMemory {
    /// Of result lines, all chunks together.
    const MAX_MIB: u32 = 40;

    /// Waits until a chunk with so many bytes of results may be merged. The largest go alone.
    pub(crate) async fn take(&self, bytes: usize) -> OwnedSemaphorePermit {
        let mib = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).saturating_add(1).min(Self::MAX_MIB);
        self.0.clone().acquire_many_owned(mib).await.expect("never closed")
    }
}

impl Default for AnswerMemory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(Self::MAX_MIB as usize)))
    }
}

/// How a worker works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long a claim lasts without heartbeat. Too short, and a pause of the process loses its work; too long, and a dead
    /// worker's work waits.
    pub lease: Duration,
    /// Steps worked on at once. They use a processor each, and hold one chunk each.
    pub steps: usize,
    /// Dispatches worked on at once. Each holds one chunk.
    pub dispatches: usize,
    /// Steps of provider batches worked on at once. Each may hold a chunk in memory, and a provider batch's files on disk.
    pub provider_batches: usize,
    /// How often to look for work and for changed jobs where no hint came.
    pub poll: Duration,
    /// How long calls in flight may take to finish when the process is told to stop.
    pub grace: Duration,
    /// A limit group that stands still is tried again this often.
    pub probe: Duration,
    pub backoff: Backoff,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            steps: 2,
            dispatches: 16,
            provider_batches: 4,
            poll: Duration::from_millis(500),
            grace: Duration::from_secs(20),
            probe: Duration::from_mins(1),
            backoff: Backoff::default(),
        }
    }
}

impl Context {
    pub(crate) fn files(&self, tenant_id: TenantId, job_id: JobId) -> JobFiles {
        self.work.job(tenant_id, job_id)
    }

    /// The place a URI names, with the credential of the grant that covers it now: a grant that was taken back is missed here.
    pub(crate) async fn open(&self, tenant_id: TenantId, uri: &str, write: bool) -> Result<Location, StepError> {
        let not_allowed =
            |detail: String| StepError::FailJob { code: "storage_location_not_allowed".to_owned(), detail };
        let uri: StorageUri = uri.parse().map_err(|error| not_allowed(format!("{uri}: {error}")))?;
        let mut tx = self.db.tenant(tenant_id).await?;
        let grant = db::storage_grants::covering(&mut tx, &uri, write).await?;
        tx.commit().await?;
        let Some(grant) = grant else {
            return Err(not_allowed(format!("no storage grant covers {uri} any more")));
        };
        let credential = match &grant.credential {
            Some(name) => Some(self.store_credential(name).await?),
            None => None,
        };
        Ok(self.stores.open(&uri, credential.as_ref())?)
    }

    async fn store_credential(&self, name: &str) -> Result<StoreCredential, StepError> {
        let mut tx = self.db.scheduler().await?;
        let credential = db::credentials::get(&mut tx, &self.master_key, name).await?;
        tx.commit().await?;
        let options: Option<BTreeMap<String, String>> =
            credential.and_then(|credential| serde_json::from_str(credential.secret.expose_secret()).ok());
        let unusable = || StepError::FailJob {
            code: "invalid_storage_credential".to_owned(),
            detail: format!("the credential {name} is missing, or is no JSON object of texts"),
        };
        Ok(StoreCredential::new(options.ok_or_else(unusable)?)?)
    }
}
