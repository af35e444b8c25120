//! `/v1/admin/tenants/{id}/keys`

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use db::api_keys::{self, NewKey};
use domain::api_key::ApiKey;
use domain::ids::{KeyId, TenantId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::App;
use crate::auth::{Admin, Read, Scope, Write, sha256};
use crate::body::{Fields, JsonBody};
use crate::path::Ids;
use crate::problem::{Problem, Problems};
use crate::query::NoQuery;

/// A key to create.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct KeyRequest {
    /// For people; at most 200 characters.
    name: String,
    /// Of `jobs:read` and `jobs:write`. Default: both.
    scopes: Option<Vec<String>>,
    /// Refused from then on. Default: never.
    expires_at: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyView {
    #[schema(example = "key_01h455vb4pex5vsknk084sn02q")]
    id: String,
    name: String,
    last_four: String,
    scopes: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    /// To the minute.
    last_used_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NewKey)]
struct NewKeyView {
    #[schema(example = "key_01h455vb4pex5vsknk084sn02q")]
    id: String,
    /// The key itself. It is shown this once.
    #[schema(example = "gm_…")]
    key: String,
    name: String,
    scopes: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KeyList {
    data: Vec<KeyView>,
}

impl From<api_keys::Key> for KeyView {
    fn from(key: api_keys::Key) -> Self {
        Self {
            id: key.key_id.to_string(),
            name: key.name,
            last_four: key.last_four,
            scopes: key.scopes,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
            created_at: key.created_at,
        }
    }
}

/// Create a key. The reply is the only place that shows it.
#[utoipa::path(
    post, path = "/v1/admin/tenants/{id}/keys", operation_id = "create_key", tag = "admin", request_body = KeyRequest,
    params(("id" = String, Path, description = "The tenant")),
    responses((status = 201, description = "Created", body = NewKeyView))
)]
pub(crate) async fn create(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((tenant_id,)): Ids<(TenantId,)>,
    body: JsonBody,
) -> Result<Response, Problem> {
    let request = read(body.value, app.now())?;
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(|error| Problem::internal(&error))?;
    let key = ApiKey::from_random(random);
    let new = NewKey {
        key_id: KeyId(Uuid::now_v7()),
        name: request.name,
        sha256: sha256(key.expose()),
        last_four: key.last_four().to_owned(),
        scopes: request.scopes,
        expires_at: request.expires_at,
    };
    let mut tx = super::tenant(&app, tenant_id).await?;
    api_keys::insert(&mut tx, &new).await?;
    tx.commit().await?;
    let view = NewKeyView {
        id: new.key_id.to_string(),
        key: key.expose().to_owned(),
        name: new.name,
        scopes: new.scopes,
        expires_at: new.expires_at,
    };
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, no_store, Json(view)).into_response())
}

/// List a tenant's keys, oldest first, without their secrets.
#[utoipa::path(
    get, path = "/v1/admin/tenants/{id}/keys", operation_id = "list_keys", tag = "admin",
    params(("id" = String, Path, description = "The tenant")),
    responses((status = 200, description = "All keys", body = KeyList))
)]
pub(crate) async fn list(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((tenant_id,)): Ids<(TenantId,)>,
) -> Result<Json<KeyList>, Problem> {
    let mut tx = super::tenant(&app, tenant_id).await?;
    let keys = api_keys::list(&mut tx).await?;
    tx.commit().await?;
    Ok(Json(KeyList { data: keys.into_iter().map(KeyView::from).collect() }))
}

/// Revoke a key.
#[utoipa::path(
    delete, path = "/v1/admin/tenants/{id}/keys/{key}", operation_id = "revoke_key", tag = "admin",
    params(("id" = String, Path, description = "The tenant"), ("key" = String, Path, description = "The key's id")),
    responses((status = 204, description = "Refused from now on"))
)]
pub(crate) async fn revoke(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((tenant_id, key_id)): Ids<(TenantId, KeyId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.tenant(tenant_id).await?;
    if !api_keys::revoke(&mut tx, key_id).await? {
        return Err(Problem::not_found());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Default)]
struct Request {
    name: String,
    scopes: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
}

fn read(body: Value, now: DateTime<Utc>) -> Result<Request, Problem> {
    let mut problems = Problems::default();
    let mut request = Request::default();
    if let Some(mut fields) = Fields::of_body(body, &mut problems) {
        fields.require("name");
        request.name = fields.label("name", 200).unwrap_or_default();
        request.scopes = scopes(&mut fields);
        request.expires_at = fields.time("expires_at");
        if request.expires_at.is_some_and(|end| end <= now) {
            fields.report("expires_at", "out_of_range", "it must be in the future");
        }
        fields.finish();
    }
    problems.check()?;
    Ok(request)
}

fn scopes(fields: &mut Fields<'_>) -> Vec<String> {
    const SCOPES: [&str; 2] = [Read::NAME, Write::NAME];
    let Some(values) = fields.list("scopes", SCOPES.len()) else {
        return SCOPES.map(str::to_owned).into();
    };
    let scopes: Vec<_> =
        values.iter().filter_map(|value| SCOPES.into_iter().find(|scope| value == scope)).map(str::to_owned).collect();
    if scopes.is_empty() || scopes.len() < values.len() {
        fields.report("scopes", "invalid_value", format!("list one or both of: {}", SCOPES.join(", ")));
    }
    scopes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
    }

    #[test]
    fn a_key_may_both_read_and_write_unless_told() {
        assert_eq!(read(json!({"name": "a"}), now()).expect("sound").scopes, ["jobs:read", "jobs:write"]);
        assert_eq!(read(json!({"name": "a", "scopes": ["jobs:read"]}), now()).expect("sound").scopes, ["jobs:read"]);
    }

    #[test]
    fn a_tenant_s_key_is_no_administrator_s() {
        for scopes in [json!(["admin"]), json!([]), json!(["jobs:read", 1])] {
            assert!(read(json!({"name": "a", "scopes": scopes}), now()).is_err(), "{scopes}");
        }
    }

    #[test]
    fn a_key_expires_in_the_future() {
        assert!(read(json!({"name": "a", "expires_at": "2020-01-01T00:00:00Z"}), now()).is_err());
        assert!(read(json!({"name": "a", "expires_at": "2099-01-01T00:00:00+01:00"}), now()).is_ok());
    }
}
