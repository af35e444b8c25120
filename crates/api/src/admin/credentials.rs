//! `/v1/admin/credentials/{name}`

use axum::Json;
use axum::extract::State;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::App;
use crate::auth::Admin;
use crate::body::{Fields, JsonBody};
use crate::path::Ids;
use crate::problem::{Problem, Problems};
use crate::query::NoQuery;
use crate::signature::SigningKey;

/// A secret to store.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct CredentialRequest {
    /// A key as text, or an object of strings, such as `access_key_id` and `secret_access_key` for S3.
    secret: Value,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Credential)]
pub(crate) struct CredentialView {
    name: String,
}

const LONGEST_SECRET: usize = 16 << 10;

/// Create or replace a credential. It is never read back.
#[utoipa::path(
    put, path = "/v1/admin/credentials/{name}", operation_id = "put_credential", tag = "admin", request_body = CredentialRequest,
    params(("name" = String, Path, description = "As provider records and grants name it")),
    responses((status = 200, description = "Stored", body = CredentialView))
)]
pub(crate) async fn put(
    _: Admin,
    _: NoQuery,
    State(app): State<App>,
    Ids((name,)): Ids<(String,)>,
    body: JsonBody,
) -> Result<Json<CredentialView>, Problem> {
    super::check_name(&name)?;
    let secret = read(body.value)?;
    let mut tx = app.db.scheduler().await?;
    db::credentials::put(&mut tx, &app.master_key, &name, &secret).await?;
    tx.commit().await?;
    Ok(Json(CredentialView { name }))
}

/// Checks the credentials that fields name.
///
/// # Errors
/// 422 at each field whose credential is not stored.
pub(super) async fn require(app: &App, fields: &[(&str, Option<&str>)]) -> Result<(), Problem> {
    let mut problems = Problems::default();
    let mut tx = app.db.scheduler().await?;
    for (pointer, name) in fields {
        if let Some(name) = name
            && !db::credentials::exists(&mut tx, name).await?
        {
            problems.report(*pointer, "credential_not_found", not_found(name));
        }
    }
    tx.commit().await?;
    problems.check()
}

/// Checks that a stored secret can sign.
///
/// # Errors
/// 422 at `/webhook_credential` if it can't.
pub(super) async fn require_signing(app: &App, name: &str) -> Result<(), Problem> {
    let mut tx = app.db.scheduler().await?;
    let credential = db::credentials::get(&mut tx, &app.master_key, name).await?;
    tx.commit().await?;
    if credential.is_some_and(|credential| SigningKey::parse(credential.secret.expose_secret()).is_some()) {
        Ok(())
    } else {
        let detail = format!("the credential `{name}` is no signing secret: `whsec_` and base64");
        Err(Problem::field("/webhook_credential", "invalid_value", detail))
    }
}

/// Words with what to do.
pub(crate) fn not_found(name: &str) -> String {
    format!(
        "the credential `{name}` is not stored; an administrator stores it with `gristmill admin credential put {name}`"
    )
}

fn read(body: Value) -> Result<SecretString, Problem> {
    let mut problems = Problems::default();
    let mut secret = String::new();
    if let Some(mut fields) = Fields::of_body(body, &mut problems) {
        fields.require("secret");
        match fields.take("secret") {
            Some(Value::String(text)) => secret = text,
            Some(Value::Object(object)) if !object.is_empty() && object.values().all(Value::is_string) => {
                secret = Value::Object(object).to_string();
            }
            Some(_) => fields.report("secret", "invalid_type", "expected a string, or an object of strings"),
            None => {}
        }
        if secret.len() > LONGEST_SECRET {
            fields.report("secret", "out_of_range", format!("it is longer than {LONGEST_SECRET} bytes"));
        }
        fields.finish();
    }
    problems.check()?;
    if secret.trim().is_empty() {
        return Err(Problem::field("/secret", "invalid_value", "it is empty"));
    }
    Ok(secret.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_a_text_or_an_object_of_texts() {
        assert_eq!(read(json!({"secret": "sk-1"})).expect("sound").expose_secret(), "sk-1");
        assert_eq!(read(json!({"secret": {"a": "b"}})).expect("sound").expose_secret(), r#"{"a":"b"}"#);
        for bad in [
            json!({}),
            json!({"secret": ""}),
            json!({"secret": 1}),
            json!({"secret": {"a": 1}}),
            json!({"secret": {}}),
            json!({"secret": "x", "key": "y"}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
