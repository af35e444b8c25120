//! Records that come with the binary.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tests::{Rig, RigOptions};

use crate::api::http::{Http, callers, submission, with};

/// `gristmill migrate`: what it says.
fn migrate(rig: &Rig) -> anyhow::Result<String> {
    let environment = rig.environment.iter().map(|(name, value)| (name, value));
    let output = tests::process::command()?.arg("migrate").envs(environment).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// All records of a list.
async fn all(admin: &Http, list: &str) -> anyhow::Result<Vec<Value>> {
    let page = admin.get(&format!("{list}?limit=100")).await?;
    ensure!(page.body["next_cursor"].is_null(), "there are more: {}", page.body);
    Ok(page.body["data"].as_array().context("a list")?.clone())
}

async fn models_of(tenant: &Http, provider: &str) -> anyhow::Result<usize> {
    let models = tenant.get("/v1/models").await?.body;
    let models = models["data"].as_array().context("a list")?;
    let is_of = |model: &&Value| model["id"].as_str().is_some_and(|id| id.starts_with(&format!("{provider}/")));
    Ok(models.iter().filter(is_of).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_wait_for_a_credential_and_no_longer() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let (tenant, admin) = callers(&rig)?;
    let said = migrate(&rig)?;
    assert!(said.contains("Default records added"), "{said}");
    assert!(!migrate(&rig)?.contains("added"));

    let input = rig.write_rows("in.csv", std::iter::once("x".to_owned()))?;
    let body = with(submission(&input), json!({"model": "openai/gpt-5-mini"}));
    let refused = tenant.post("/v1/jobs", &body).await?;
    refused.assert_wrong_field("/model", "credential_not_found");
    let message = refused.body["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("gristmill admin credential put openai"), "{message}");
    assert_eq!(models_of(&tenant, "openai").await?, 0);
    let stored = admin.call("PUT", "/v1/admin/credentials/openai", &json!({"secret": "sk-x"})).await?;
    assert_eq!(stored.status, 200, "{}", stored.body);
    assert!(models_of(&tenant, "openai").await? > 5);
    assert_eq!(tenant.post("/v1/jobs", &body).await?.status, 201);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_are_records_as_an_administrator_could_put_them() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let (_, admin) = callers(&rig)?;
    migrate(&rig)?;
    let providers = all(&admin, "/v1/admin/providers").await?;
    let models = all(&admin, "/v1/admin/models").await?;
    assert!(providers.len() > 7 && models.len() > 20, "{} and {}", providers.len(), models.len());
    for provider in &providers {
        let id = provider["id"].as_str().context("an id")?;
        admin.call("PUT", &format!("/v1/admin/credentials/{id}"), &json!({"secret": "x"})).await?;
        let put = admin.call("PUT", &format!("/v1/admin/providers/{id}"), provider).await?;
        assert_eq!(put.status, 200, "{id}: {}", put.body);
        assert_eq!((&put.body["batch"], &put.body["realtime"]), (&provider["batch"], &provider["realtime"]));
    }
    for model in &models {
        let (provider, name) = model["id"].as_str().and_then(|id| id.split_once('/')).context("an id")?;
        let put = admin.call("PUT", &format!("/v1/admin/providers/{provider}/models/{name}"), model).await?;
        assert_eq!((put.status, &put.body["prices"]), (200, &model["prices"]), "{provider}/{name}: {}", put.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_that_was_deleted_or_edited_stays_so() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let (_, admin) = callers(&rig)?;
    migrate(&rig)?;
    let (groq, model) = ("/v1/admin/providers/groq", "/v1/admin/providers/mistral/models/mistral-small-latest");
    for path in [groq, model] {
        assert_eq!(admin.call("DELETE", path, &json!({})).await?.status, 204);
    }
    let own = json!({"driver": "openai-compatible", "base_url": "http://127.0.0.1:9/v1"});
    assert_eq!(admin.call("PUT", "/v1/admin/providers/together", &own).await?.status, 200);
    assert!(!migrate(&rig)?.contains("added"));
    for path in [groq, model] {
        admin.get(path).await?.assert_problem(404, "not_found");
    }
    assert_eq!(admin.get("/v1/admin/providers/together").await?.body["base_url"], own["base_url"]);
    Ok(())
}
