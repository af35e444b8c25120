//! Clients of S3 and of what speaks its protocol, one per bucket and credential.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, RetryConfig};

use super::StoreError;

/// Options of one S3 credential, named like the usual variables: `access_key_id`, `secret_access_key`, `session_token`,
/// `region`, `endpoint`. Its `Debug` shows the names alone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StoreCredential(BTreeMap<String, String>);

impl StoreCredential {
    /// # Errors
    /// `invalid_storage_credential`: an unknown option, or the key pair is incomplete.
    pub fn new(options: BTreeMap<String, String>) -> Result<Self, StoreError> {
        let invalid = |reason: String| StoreError::InvalidCredential { reason };
        let mut keys = Vec::new();
        for name in options.keys() {
            keys.push(parse_key(name).ok_or_else(|| invalid(format!("`{name}` is not an option of S3")))?);
        }
        for (needed, name) in [
            (AmazonS3ConfigKey::AccessKeyId, "access_key_id"),
            (AmazonS3ConfigKey::SecretAccessKey, "secret_access_key"),
        ] {
            if !keys.contains(&needed) {
                return Err(invalid(format!("`{name}` is missing")));
            }
        }
        Ok(Self(options))
    }
}

impl fmt::Debug for StoreCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// More clients than this are not kept: each holds connections.
const MAX_CLIENTS: usize = 256;

/// How long one call is repeated before it fails as `storage_unavailable`; whoever called repeats the step later.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

type ClientKey = (String, Option<StoreCredential>);

pub(super) struct S3Clients {
    options: Vec<(AmazonS3ConfigKey, String)>,
    clients: Mutex<HashMap<ClientKey, Arc<AmazonS3>>>,
}

impl S3Clients {
    pub(super) fn new(options: Vec<(String, String)>) -> Self {
        let options = options.into_iter().filter_map(|(name, value)| Some((parse_key(&name)?, value))).collect();
        Self { options, clients: Mutex::default() }
    }

    pub(super) fn client(
        &self,
        bucket: &str,
        credential: Option<&StoreCredential>,
    ) -> Result<Arc<AmazonS3>, StoreError> {
        let key = (bucket.to_owned(), credential.cloned());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = Arc::new(self.build(bucket, credential)?);
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }

    fn build(&self, bucket: &str, credential: Option<&StoreCredential>) -> Result<AmazonS3, StoreError> {
        let retry = RetryConfig { max_retries: 6, retry_timeout: RETRY_TIMEOUT, backoff: BackoffConfig::default() };
        let mut builder = AmazonS3Builder::new().with_retry(retry);
        for (key, value) in &self.options {
            if credential.is_none() || says_where_not_who(*key) {
                builder = builder.with_config(*key, value);
            }
        }
        for (name, value) in credential.iter().flat_map(|credential| &credential.0) {
            if let Some(key) = parse_key(name) {
                builder = builder.with_config(key, value);
            }
        }
        builder
            .with_bucket_name(bucket)
            .build()
            .map_err(|error| StoreError::InvalidCredential { reason: error.to_string() })
    }
}

impl fmt::Debug for S3Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Clients").finish_non_exhaustive()
    }
}

/// Options of the process that hold for a grant's own credential too. Nothing that proves an identity is among them:
/// a session token of one identity beside the keys of another fails in ways that are hard to see.
fn says_where_not_who(key: AmazonS3ConfigKey) -> bool {
    matches!(
        key,
        AmazonS3ConfigKey::Region
            | AmazonS3ConfigKey::DefaultRegion
            | AmazonS3ConfigKey::Endpoint
            | AmazonS3ConfigKey::VirtualHostedStyleRequest
            | AmazonS3ConfigKey::Client(_)
    )
}

/// Options are named as in the environment, in any case.
fn parse_key(name: &str) -> Option<AmazonS3ConfigKey> {
    let name = name.to_ascii_lowercase();
    let key = name.parse().ok()?;
    // The bucket comes from the URI alone.
    (!matches!(key, AmazonS3ConfigKey::Bucket)).then_some(key)
}
