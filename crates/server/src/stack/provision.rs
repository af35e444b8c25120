//! Sets a stack up as an administrator would: through the API, but for the first key.

use anyhow::Context as _;
use client::api::{Client, NewGrant, NewKey, TenantChange};
use db::Database;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::admin_key;
use super::state::StateDir;

/// Who may use the stack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Access {
    pub tenant_id: String,
    pub api_key: String,
    pub admin_key: String,
}

/// Where it is kept between runs.
const FILE: &str = "access.json";

/// The tenant, its key and its grant from an earlier run, or new ones; and the sandbox where it listens now.
pub async fn provision(db: &Database, state: &StateDir, url: &str, sandbox_url: &str) -> anyhow::Result<Access> {
    let access = match state.read::<Access>(FILE)? {
        Some(access) if admin_key::is_known(db, &access.admin_key).await? => access,
        Some(_) | None => {
            let access = make(db, state, url).await?;
            state.write(FILE, &access)?;
            access
        }
    };
    let admin = Client::new(url, &access.admin_key)?;
    offer_sandbox(&admin, sandbox_url).await?;
    Ok(access)
}

async fn make(db: &Database, state: &StateDir, url: &str) -> anyhow::Result<Access> {
    let admin_key = admin_key::make(db).await?.expose().to_owned();
    let admin = Client::new(url, &admin_key)?;
    let tenant =
        admin.create_tenant(&TenantChange { name: Some("dev".to_owned()), ..TenantChange::default() }).await?.value;
    let key = NewKey {
        name: "dev".to_owned(),
        scopes: vec!["jobs:read".to_owned(), "jobs:write".to_owned()],
        expires_at: None,
    };
    let key = admin.create_key(&tenant.id, &key).await?.value;
    let grant = NewGrant {
        uri_prefix: format!("file://{}/", state.objects().display()),
        access: "read_write".to_owned(),
        credential: None,
    };
    admin.create_grant(&tenant.id, &grant).await?;
    Ok(Access {
        tenant_id: tenant.id,
        api_key: key.key.context("the service made a key and did not show it")?,
        admin_key,
    })
}

/// The sandbox answers at once and may be asked by many; its prices are made up, so that costs can be seen. Under a second name it
/// takes provider batches, too.
async fn offer_sandbox(admin: &Client, sandbox_url: &str) -> anyhow::Result<()> {
    admin.put_credential("sandbox", &json!("sandbox")).await?;
    let provider = json!({
        "driver": "openai-compatible", "base_url": sandbox_url, "credential": "sandbox",
        "realtime": {"max_concurrency": 64, "timeout_s": 30}, "batch": null,
    });
    admin.put_provider("sandbox", &provider).await?;
    let with_batches = json!({
        "driver": "openai", "base_url": sandbox_url, "credential": "sandbox",
        "realtime": {"max_concurrency": 64, "timeout_s": 30},
        "batch": {"min_items": 100, "min_saving_usd": "0", "poll_interval_s": 1},
    });
    admin.put_provider("sandbox-batch", &with_batches).await?;
    let model = json!({
        "upstream_model": "echo", "tasks": ["chat"], "context_tokens": 128_000, "max_output_tokens": 16_000,
        "prices": {"input_per_mtok_usd": "0.10", "output_per_mtok_usd": "0.40"}, "realtime": {},
    });
    admin.put_model("sandbox", "echo", &model).await?;
    admin.put_model("sandbox-batch", "echo", &model).await?;
    Ok(())
}
