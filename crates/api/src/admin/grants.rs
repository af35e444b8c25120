//! `/v1/admin/tenants/{id}/grants`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use db::storage_grants::{self, Grant};
use domain::ids::{GrantId, TenantId};
use domain::storage_uri::StoragePrefix;
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

/// A grant to create.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct GrantRequest {
    /// Covers what is below it, by whole path segments.
    #[schema(example = "s3://acme-data/")]
    uri_prefix: String,
    /// `read`, `write` or `read_write`.
    access: String,
    /// Name of a stored credential. Default: the service's own identity.
    credential: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Grant)]
pub(crate) struct GrantView {
    #[schema(example = "gra_01h455vb4pex5vsknk084sn02q")]
    id: String,
    uri_prefix: String,
    /// `read`, `write` or `read_write`.
    access: &'static str,
    credential: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct GrantList {
    data: Vec<GrantView>,
}

impl From<Grant> for GrantView {
    fn from(grant: Grant) -> Self {
        Self {
            id: grant.grant_id.to_string(),
            access: grant.access(),
            uri_prefix: grant.uri_prefix,
            credential: grant.credential,
        }
    }
}

/// Let a tenant read or write below a prefix of object storage.
#[utoipa::path(
    post, path = "/v1/admin/tenants/{id}/grants", operation_id = "create_grant", tag = "admin", request_body = GrantRequest,
    params(("id" = String, Path, description = "The tenant")),
    responses((status = 201, description = "Created", body = GrantView))
)]
pub(crate) async fn create(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((tenant_id,)): Ids<(TenantId,)>,
    body: JsonBody,
) -> Result<(StatusCode, Json<GrantView>), Problem> {
    let grant = read(body.value)?;
    super::credentials::require(&app, &[("/credential", grant.credential.as_deref())]).await?;
    let mut tx = super::tenant(&app, tenant_id).await?;
    storage_grants::insert(&mut tx, &grant).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(grant.into())))
}

/// List a tenant's grants, oldest first.
#[utoipa::path(
    get, path = "/v1/admin/tenants/{id}/grants", operation_id = "list_grants", tag = "admin",
    params(("id" = String, Path, description = "The tenant")),
    responses((status = 200, description = "All grants", body = GrantList))
)]
pub(crate) async fn list(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((tenant_id,)): Ids<(TenantId,)>,
) -> Result<Json<GrantList>, Problem> {
    let mut tx = super::tenant(&app, tenant_id).await?;
    let grants = storage_grants::list(&mut tx).await?;
    tx.commit().await?;
    Ok(Json(GrantList { data: grants.into_iter().map(GrantView::from).collect() }))
}

/// Take a grant back. Jobs that still need it fail.
#[utoipa::path(
    delete, path = "/v1/admin/tenants/{id}/grants/{grant}", operation_id = "delete_grant", tag = "admin",
    params(("id" = String, Path, description = "The tenant"), ("grant" = String, Path, description = "The grant")),
    responses((status = 204, description = "Taken back"))
)]
pub(crate) async fn delete(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((tenant_id, grant_id)): Ids<(TenantId, GrantId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.tenant(tenant_id).await?;
    if !storage_grants::delete(&mut tx, grant_id).await? {
        return Err(Problem::not_found());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn read(body: Value) -> Result<Grant, Problem> {
    let mut problems = Problems::default();
    let mut grant = Grant {
        grant_id: GrantId(Uuid::now_v7()),
        uri_prefix: String::new(),
        read: false,
        write: false,
        credential: None,
    };
    if let Some(mut fields) = Fields::of_body(body, &mut problems) {
        fields.require("uri_prefix");
        fields.require("access");
        if let Some(uri_prefix) = fields.text("uri_prefix") {
            if let Err(error) = uri_prefix.parse::<StoragePrefix>() {
                fields.report("uri_prefix", error.code(), error.to_string());
            }
            grant.uri_prefix = uri_prefix;
        }
        let access = fields.choice(
            "access",
            &[("read", Some((true, false))), ("write", Some((false, true))), ("read_write", Some((true, true)))],
        );
        (grant.read, grant.write) = access.unwrap_or_default();
        grant.credential = fields.label("credential", 100);
        fields.finish();
    }
    problems.check()?;
    Ok(grant)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_grant_names_a_prefix_and_an_access() {
        let grant = read(json!({"uri_prefix": "s3://acme-data/in/", "access": "read_write"})).expect("sound");
        assert_eq!((grant.access(), grant.read, grant.write), ("read_write", true, true));
        for bad in [
            json!({}),
            json!({"uri_prefix": "s3://acme-data/../x", "access": "read"}),
            json!({"uri_prefix": "", "access": "read"}),
            json!({"uri_prefix": "s3://acme-data", "access": "all"}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
