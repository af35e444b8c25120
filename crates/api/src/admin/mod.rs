//! `/v1/admin`: tenants, their keys and grants, credentials, and the capability table.

mod base_url;
pub(crate) mod credentials;
pub(crate) mod grants;
pub(crate) mod keys;
pub(crate) mod models;
pub(crate) mod providers;
pub(crate) mod records;
pub(crate) mod tenants;

use db::TenantTx;
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
