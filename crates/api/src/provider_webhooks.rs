//! `POST /v1/provider_webhooks/{provider}`

use axum::extract::{Request, State};
use axum::http::StatusCode;
use domain::provider::Driver;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::path::Ids;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::signature::SigningKey;
use crate::{App, body};

const LONGEST_BODY: usize = 64 << 10;

/// Longer ones are no ids of provider batches.
const LONGEST_ID: usize = 500;

/// Take a provider's hint that a provider batch has ended.
///
/// The call is signed as Standard Webhooks say, with the secret that the record's `webhook_credential` names. That is how OpenAI
/// signs; of Gemini only the events are known, and that its endpoints have signing secrets, not the form of its signatures. It is a
/// hint: the provider batch is looked at now instead of at its next turn, and one that nobody knows is no error.
#[utoipa::path(
    post, path = "/v1/provider_webhooks/{provider}", operation_id = "receive_provider_webhook", tag = "webhooks", security(()),
    params(
        ("provider" = String, Path, description = "The part of a job's model before the slash"),
        ("webhook-id" = String, Header, description = "The event's id"),
        ("webhook-timestamp" = String, Header, description = "Seconds since 1970, at most 300 off"),
        ("webhook-signature" = String, Header, description = "`v1,` and base64, several with spaces between"),
    ),
    request_body(content = Object, description = "The provider's event, at most 64 KiB; its `data.id` or `data.name` is read"),
    responses((status = 204, description = "Taken"), (status = 401, description = "invalid_signature"))
)]
pub(crate) async fn receive(
    _: NoQuery,
    State(app): State<App>,
    Ids((provider_id,)): Ids<(String,)>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (driver, key) = secret(&app, &provider_id).await?;
    let headers = request.headers().clone();
    let body = body::read(request, LONGEST_BODY, app.config.request_timeout / 2).await?;
    key.ok_or("the secret stored here is none")
        .and_then(|key| key.verify(&headers, &body, app.now()))
        .map_err(|reason| Problem::new(StatusCode::UNAUTHORIZED, "invalid_signature", reason))?;
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut tx = app.db.scheduler().await?;
    for remote_id in remote_ids(&event, driver) {
        db::provider_batches::wake(&mut tx, &provider_id, &remote_id).await?;
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The provider's driver, and what it signs with: `None` if its secret is none.
///
/// # Errors
/// 404 for a provider that sends no webhooks.
async fn secret(app: &App, provider_id: &str) -> Result<(Driver, Option<SigningKey>), Problem> {
    let mut tx = app.db.scheduler().await?;
    let provider = db::providers::get(&mut tx, provider_id).await?.ok_or_else(Problem::not_found)?.record;
    let name = provider.webhook_credential.ok_or_else(Problem::not_found)?;
    let credential = db::credentials::get(&mut tx, &app.master_key, &name).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    let key = SigningKey::parse(credential.secret.expose_secret());
    if key.is_none() {
        tracing::warn!(
            provider.id = provider_id,
            "the webhook credential {name} is no signing secret (whsec_ and base64)"
        );
    }
    Ok((provider.driver, key))
}

/// What the provider batch of an event may be called here. OpenAI's events have `data.id`; Gemini's form is not published, and its
/// names are written with and without `batches/`.
fn remote_ids(event: &Value, driver: Driver) -> Vec<String> {
    let names = ["/data/id", "/data/name"].into_iter().filter_map(|pointer| event.pointer(pointer)?.as_str());
    let names = names.filter(|name| (1..=LONGEST_ID).contains(&name.len()) && !name.chars().any(char::is_control));
    let mut ids: Vec<String> = names.map(str::to_owned).collect();
    if driver == Driver::Gemini {
        let bare = |id: &String| id.rsplit('/').next().map(str::to_owned);
        let bare: Vec<String> = ids.iter().filter_map(bare).collect();
        ids.extend(bare.iter().map(|id| format!("batches/{id}")));
        ids.extend(bare);
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_names_its_provider_batch() {
        let event = json!({"type": "batch.completed", "data": {"id": "batch_1"}});
        assert_eq!(remote_ids(&event, Driver::Openai), ["batch_1"]);
        for data in [json!({"id": "123"}), json!({"name": "batches/123"}), json!({"id": "123", "name": "batches/123"})]
        {
            assert_eq!(remote_ids(&json!({"data": data}), Driver::Gemini), ["123", "batches/123"]);
        }
        for odd in [json!(null), json!({"data": {"id": 1}}), json!({"data": {"id": "a\0"}}), json!({"data": "x"})] {
            assert_eq!(remote_ids(&odd, Driver::Openai), [""; 0], "{odd}");
        }
    }
}
