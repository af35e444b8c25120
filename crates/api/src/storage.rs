//! From a tenant's URI to its place, if a grant covers it.

use std::collections::BTreeMap;

use dataset::stores::{Location, StoreCredential};
use db::TenantTx;
use db::storage_grants::{self, Grant};
use domain::storage_uri::StorageUri;
use secrecy::ExposeSecret;

use crate::App;
use crate::problem::Problem;

/// What is to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// The grant that covers an object.
///
/// # Errors
/// 403 `storage_location_not_allowed`
pub(crate) async fn grant(tx: &mut TenantTx, uri: &StorageUri, access: Access) -> Result<Grant, Problem> {
    let verb = match access {
        Access::Read => "read",
        Access::Write => "write",
    };
    storage_grants::covering(tx, uri, access == Access::Write).await?.ok_or_else(|| {
        let detail = format!("no storage grant lets this tenant {verb} `{uri}`; an administrator can add one");
        Problem::forbidden("storage_location_not_allowed", detail)
    })
}

/// The place that a granted URI names; `pointer` is the field that names it. No transaction is open when it returns.
pub(crate) async fn open(app: &App, uri: &StorageUri, grant: &Grant, pointer: &str) -> Result<Location, Problem> {
    let credential = match &grant.credential {
        Some(name) => Some(credential(app, name).await?),
        None => None,
    };
    app.stores.open(uri, credential.as_ref()).map_err(|error| Problem::of_store(error, pointer))
}

async fn credential(app: &App, name: &str) -> Result<StoreCredential, Problem> {
    let mut tx = app.db.scheduler().await?;
    let credential = db::credentials::get(&mut tx, &app.master_key, name).await?;
    tx.commit().await?;
    let secret = credential.ok_or_else(|| unusable(name, "it is gone"))?.secret;
    let options: BTreeMap<String, String> =
        serde_json::from_str(secret.expose_secret()).map_err(|_| unusable(name, "it is no object of strings"))?;
    StoreCredential::new(options).map_err(|error| unusable(name, &error.to_string()))
}

/// The secret itself is in none of the reasons.
fn unusable(name: &str, reason: &str) -> Problem {
    let detail = format!("the storage credential `{name}` can't be used: {reason}; an administrator can replace it");
    Problem::conflict("invalid_storage_credential", detail)
}
