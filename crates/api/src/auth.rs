//! Who a request acts for.

use std::marker::PhantomData;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use db::api_keys::{self, Bearer};
use domain::api_key::ApiKey;
use domain::ids::TenantId;

use crate::App;
use crate::problem::Problem;

/// The tenant of a key that has the scope `S`.
pub(crate) struct Tenant<S> {
    pub id: TenantId,
    /// A suspended tenant may still read.
    pub suspended: bool,
    scope: PhantomData<S>,
}

/// The bearer of an administrator's key. To anybody else's key its routes don't exist.
pub(crate) struct Admin;

/// What a key may be allowed to do.
pub(crate) trait Scope {
    const NAME: &'static str;
    const WRITES: bool;
}

/// `jobs:read`
pub(crate) struct Read;

/// `jobs:write`
pub(crate) struct Write;

impl Scope for Read {
    const NAME: &'static str = "jobs:read";
    const WRITES: bool = false;
}

impl Scope for Write {
    const NAME: &'static str = "jobs:write";
    const WRITES: bool = true;
}

impl<S: Scope> FromRequestParts<App> for Tenant<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let bearer = bearer(parts, app).await?;
        let Some(tenant_id) = bearer.tenant_id else {
            let detail = format!("an administrator's key has no jobs; use a tenant's key with the scope `{}`", S::NAME);
            return Err(Problem::forbidden("insufficient_scope", detail));
        };
        tracing::Span::current().record("tenant.id", tracing::field::display(tenant_id));
        if !bearer.scopes.iter().any(|scope| scope == S::NAME) {
            return Err(Problem::forbidden(
                "insufficient_scope",
                format!("this needs a key with the scope `{}`", S::NAME),
            ));
        }
        if S::WRITES && bearer.tenant_suspended {
            return Err(Problem::forbidden(
                "tenant_suspended",
                "this tenant is suspended: its jobs can be read, not changed",
            ));
        }
        Ok(Self { id: tenant_id, suspended: bearer.tenant_suspended, scope: PhantomData })
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if bearer(parts, app).await?.tenant_id.is_none() { Ok(Self) } else { Err(Problem::not_found()) }
    }
}

async fn bearer(parts: &Parts, app: &App) -> Result<Bearer, Problem> {
    if parts.uri.query().is_some_and(has_credentials) {
        let detail = "a key in a URL ends up in logs: send it in the Authorization header, and revoke this one";
        return Err(Problem::unauthorized("credentials_in_url", detail));
    }
    let key = presented_key(&parts.headers)?;
    let mut tx = app.db.scheduler().await?;
    let bearer = api_keys::find(&mut tx, sha256(key.expose())).await?.ok_or_else(invalid_key)?;
    if bearer.revoked_at.is_some() {
        return Err(Problem::unauthorized("api_key_revoked", "this key was revoked"));
    }
    if bearer.expires_at.is_some_and(|end| end <= app.now()) {
        return Err(Problem::unauthorized("api_key_expired", "this key has expired"));
    }
    if bearer.stale {
        api_keys::touch(&mut tx, bearer.key_id).await?;
    }
    tx.commit().await?;
    Ok(bearer)
}

/// The key in the request's header, if it is well-formed. Asks nobody.
fn presented_key(headers: &HeaderMap) -> Result<ApiKey, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(Problem::unauthorized("missing_credentials", "send `Authorization: Bearer gm_…`"));
    };
    if values.next().is_some() {
        return Err(Problem::unauthorized("invalid_api_key", "there is more than one Authorization header"));
    }
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.and_then(|(_, token)| ApiKey::parse(token.trim()).ok()).ok_or_else(invalid_key)
}

fn invalid_key() -> Problem {
    Problem::unauthorized(
        "invalid_api_key",
        "this is no key of this service: it is mistyped, cut short or from elsewhere",
    )
}

/// The form in which keys are stored. They have 256 random bits, so one round is enough.
pub(crate) fn sha256(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn has_credentials(query: &str) -> bool {
    const NAMES: [&str; 8] =
        ["api_key", "apikey", "api-key", "access_token", "token", "key", "authorization", "bearer"];
    url::form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| NAMES.contains(&name.to_ascii_lowercase().as_str()) || ApiKey::parse(value.trim()).is_ok())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (header::AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).expect("a header")))
            .collect()
    }

    #[test]
    fn a1_a2_a10_only_one_well_formed_key_is_looked_up() {
        let key = ApiKey::from_random([1; 32]);
        let bearer = format!("bearer {}", key.expose());
        assert_eq!(presented_key(&headers(&[&bearer])).ok(), Some(key));
        for bad in
            [vec![], vec!["Bearer gm_short"], vec!["Basic eDp5"], vec!["ü"], vec![bearer.as_str(), bearer.as_str()]]
        {
            assert!(presented_key(&headers(&bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a7_a_key_in_the_query_is_seen_under_any_name() {
        let key = ApiKey::from_random([2; 32]);
        assert!(has_credentials("api_key=x") && has_credentials("a=b&TOKEN=x"));
        assert!(has_credentials(&format!("cursor={}", key.expose())));
        assert!(!has_credentials("limit=3&metadata.token=x"));
    }
}
