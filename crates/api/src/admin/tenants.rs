//! `/v1/admin/tenants`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use db::tenants::Change;
use domain::ids::TenantId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::App;
use crate::auth::Admin;
use crate::body::{Fields, JsonBody};
use crate::path::Ids;
use crate::problem::{Problem, Problems};
use crate::query::NoQuery;

/// A tenant to create or change.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct TenantRequest {
    /// Unique; at most 200 characters.
    name: Option<String>,
    /// Share of a limit group beside other tenants. Default: 1.
    weight: Option<u32>,
    #[schema(value_type = Option<Object>)]
    quotas: Option<Value>,
    /// `active` or `suspended`; only to change.
    status: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantView {
    #[schema(example = "ten_01h455vb4pex5vsknk084sn02q")]
    id: String,
    name: String,
    /// `active` or `suspended`.
    status: &'static str,
    weight: i32,
    #[schema(value_type = Object)]
    quotas: Value,
    created_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TenantList {
    data: Vec<TenantView>,
}

impl From<db::tenants::Tenant> for TenantView {
    fn from(tenant: db::tenants::Tenant) -> Self {
        Self {
            id: tenant.tenant_id.to_string(),
            name: tenant.name,
            status: if tenant.suspended { "suspended" } else { "active" },
            weight: tenant.weight,
            quotas: tenant.quotas,
            created_at: tenant.created_at,
        }
    }
}

/// Create a tenant.
#[utoipa::path(
    post, path = "/v1/admin/tenants", operation_id = "create_tenant", tag = "admin", request_body = TenantRequest,
    responses((status = 201, description = "Created", body = TenantView), (status = 409, description = "already_exists"))
)]
pub(crate) async fn create(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    body: JsonBody,
) -> Result<(StatusCode, Json<TenantView>), Problem> {
    let change = read(body.value, false)?;
    let name = change.name.ok_or_else(Problem::defect)?;
    let mut tx = app.db.tenant(TenantId(Uuid::now_v7())).await?;
    db::tenants::insert(&mut tx, &name, change.weight.unwrap_or(1), &serde_json::json!({})).await?;
    let tenant = db::tenants::get(&mut tx).await?.ok_or_else(Problem::defect)?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(tenant.into())))
}

/// Change a tenant, or suspend it.
#[utoipa::path(
    patch, path = "/v1/admin/tenants/{id}", operation_id = "change_tenant", tag = "admin", request_body = TenantRequest,
    params(("id" = String, Path, description = "The tenant")),
    responses((status = 200, description = "The tenant", body = TenantView), (status = 409, description = "already_exists"))
)]
pub(crate) async fn change(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((tenant_id,)): Ids<(TenantId,)>,
    body: JsonBody,
) -> Result<Json<TenantView>, Problem> {
    let change = read(body.value, true)?;
    let mut tx = super::tenant(&app, tenant_id).await?;
    db::tenants::update(&mut tx, &change).await?;
    let tenant = db::tenants::get(&mut tx).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Json(tenant.into()))
}

/// Look a tenant up.
#[utoipa::path(
    get, path = "/v1/admin/tenants/{id}", operation_id = "get_tenant", tag = "admin",
    params(("id" = String, Path, description = "The tenant")),
    responses((status = 200, description = "The tenant", body = TenantView))
)]
pub(crate) async fn get(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((tenant_id,)): Ids<(TenantId,)>,
) -> Result<Json<TenantView>, Problem> {
    let mut tx = app.db.tenant(tenant_id).await?;
    let tenant = db::tenants::get(&mut tx).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Json(tenant.into()))
}

/// List all tenants, oldest first.
#[utoipa::path(
    get, path = "/v1/admin/tenants", operation_id = "list_tenants", tag = "admin",
    responses((status = 200, description = "All tenants", body = TenantList))
)]
pub(crate) async fn list(_: Admin, _: NoQuery, State(app): State<App>) -> Result<Json<TenantList>, Problem> {
    let mut tx = app.db.scheduler().await?;
    let tenants = db::tenants::list(&mut tx).await?;
    tx.commit().await?;
    Ok(Json(TenantList { data: tenants.into_iter().map(TenantView::from).collect() }))
}

const HEAVIEST: i32 = 1_000;

/// The limits of the contract, none of which is enforced yet.
const QUOTAS: [&str; 6] = [
    "max_running_jobs",
    "max_queued_jobs",
    "max_rows_per_job",
    "max_cost_usd_per_day",
    "max_cost_usd_per_month",
    "requests_per_second",
];

fn read(body: Value, exists: bool) -> Result<Change, Problem> {
    let mut problems = Problems::default();
    let mut change = Change::default();
    if let Some(mut fields) = Fields::of_body(body, &mut problems) {
        if !exists {
            fields.require("name");
        }
        change.name = fields.label("name", 200);
        change.weight = fields.integer("weight", 1..=HEAVIEST);
        if change.weight.is_some_and(|weight| weight != 1) {
            fields.report("weight", "not_yet_supported", "weights other than 1 are not supported yet");
        }
        if let Some(mut quotas) = fields.object("quotas") {
            quotas.later(&QUOTAS);
            quotas.finish();
        }
        if exists {
            change.suspended = fields.choice("status", &[("active", Some(false)), ("suspended", Some(true))]);
        }
        fields.finish();
    }
    problems.check()?;
    Ok(change)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn k3_weights_that_mean_nothing_are_refused() {
        for weight in [json!(0), json!(-1), json!(1_000_000), json!("1"), json!(2)] {
            assert!(read(json!({"name": "a", "weight": weight}), false).is_err(), "{weight}");
        }
        assert!(read(json!({"name": "a", "weight": 1, "quotas": {"max_running_jobs": null}}), false).is_ok());
    }

    #[test]
    fn no_quota_is_accepted_and_ignored() {
        for quota in QUOTAS {
            let problem = read(json!({"quotas": {quota: 1}}), true).expect_err(quota);
            assert!(format!("{problem:?}").contains("not_yet_supported"));
        }
        assert!(read(json!({"quotas": {"odd": 1}}), true).is_err());
    }

    #[test]
    fn a_new_tenant_needs_a_name_and_is_active() {
        assert!(read(json!({}), false).is_err());
        assert!(read(json!({"name": "a", "status": "suspended"}), false).is_err());
        assert_eq!(read(json!({"status": "suspended"}), true).ok().and_then(|change| change.suspended), Some(true));
    }
}
