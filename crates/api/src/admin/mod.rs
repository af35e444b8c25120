//! `/v1/admin`: tenants, their keys and grants, credentials, and the capability table.

mod base_url;
pub(crate) mod credentials;
pub(crate) mod grants;
pub(crate) mod keys;
pub(crate) mod models;
pub(crate) mod providers;
pub(crate) mod records;
pub(crate) mod tenants;

use db::{SchedulerTx, TenantTx};
use domain::ids::TenantId;

use crate::App;
use crate::problem::Problem;

/// A transaction of a tenant that exists.
///
/// # Errors
/// 404 if there is no such tenant.
async fn tenant(app: &App, tenant_id: TenantId) -> Result<TenantTx, Problem> {
    let mut tx = app.db.tenant(tenant_id).await?;
    db::tenants::get(&mut tx).await?.ok_or_else(Problem::not_found)?;
    Ok(tx)
}

/// Names of credentials, providers and the like: they stand in paths and in limit groups.
fn is_name(name: &str) -> bool {
    const LONGEST: usize = 100;
    (1..=LONGEST).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn check_name(name: &str) -> Result<(), Problem> {
    if is_name(name) {
        Ok(())
    } else {
        let detail = "a name in a path has 1 to 100 letters, digits, `-`, `_` and `.`";
        Err(Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", detail))
    }
}

/// # Errors
/// 409 if jobs of a provider, or of one of its models, have not ended.
async fn check_unused(tx: &mut SchedulerTx, provider_id: &str, model: Option<&str>) -> Result<(), Problem> {
    match db::providers::unfinished_jobs(tx, provider_id, model).await? {
        0 => Ok(()),
        jobs => {
            let detail = format!("{jobs} unfinished jobs use it: cancel them, or wait for their end");
            Err(Problem::conflict("in_use", detail))
        }
    }
}

/// The record is not the one that the caller looked up.
fn version_conflict() -> Problem {
    Problem::conflict("version_conflict", "the record has changed since: look it up again, or leave `version` out")
}
