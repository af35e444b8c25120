//! Records that come with the binary, and those that are deleted.

use domain::provider::ModelName;
use serde_json::{Value, json};

use super::fixture::Fixture;

fn provider() -> Value {
    json!({"driver": "openai", "base_url": "https://x.test", "credential": "openai"})
}

fn name(model: &str) -> ModelName {
    ModelName { provider: "openai".to_owned(), model: model.to_owned() }
}

/// What a `migrate` of a binary with these models does. Returns whether the provider was added, and how many models.
async fn migrate(fixture: &Fixture, models: &[&str]) -> anyhow::Result<(bool, usize)> {
    let mut tx = fixture.db.scheduler().await?;
    let provider = db::defaults::offer_provider(&mut tx, "openai", &provider()).await?;
    let mut added = 0;
    for model in models {
        let record = json!({"upstream_model": model});
        added += usize::from(db::defaults::offer_model(&mut tx, &name(model), &record).await?);
    }
    tx.commit().await?;
    Ok((provider, added))
}

async fn models(fixture: &Fixture) -> anyhow::Result<Vec<String>> {
    fixture.select("SELECT model FROM models ORDER BY model").await
}

#[tokio::test]
async fn defaults_change_nothing_that_is_there_and_bring_nothing_back() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    assert_eq!(migrate(&fixture, &["a", "b"]).await?, (true, 2));
    assert_eq!(migrate(&fixture, &["a", "b"]).await?, (false, 0));
    let mut tx = fixture.db.scheduler().await?;
    let edited = json!({"driver": "openai", "base_url": "https://y.test", "batch": null});
    assert_eq!(db::providers::put(&mut tx, "openai", &edited, Some(1)).await?, Some(2));
    assert!(db::models::delete(&mut tx, &name("a")).await?);
    tx.commit().await?;
    assert_eq!(migrate(&fixture, &["a", "b", "new"]).await?, (false, 1));
    assert_eq!(models(&fixture).await?, ["b", "new"]);
    let mut tx = fixture.db.scheduler().await?;
    let stored = db::providers::get(&mut tx, "openai").await?.expect("a record");
    assert_eq!((stored.json, stored.version), (edited, 2));
    assert!(db::providers::delete(&mut tx, "openai").await?);
    tx.commit().await?;
    assert_eq!(migrate(&fixture, &["b", "newer"]).await?, (false, 0));
    assert_eq!(models(&fixture).await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_provider_that_an_operator_made_gets_no_models() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let mut tx = fixture.db.scheduler().await?;
    db::providers::put(&mut tx, "openai", &provider(), None).await?;
    tx.commit().await?;
    assert_eq!(migrate(&fixture, &["a"]).await?, (false, 0));
    Ok(())
}

#[tokio::test]
async fn a_version_never_means_two_records() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let model = json!({"upstream_model": "m"});
    let mut tx = fixture.db.scheduler().await?;
    for versions in [1, 3, 5] {
        assert_eq!(db::providers::put(&mut tx, "openai", &provider(), None).await?, Some(versions));
        assert_eq!(db::providers::put(&mut tx, "openai", &provider(), Some(versions)).await?, Some(versions + 1));
        assert_eq!(db::providers::put(&mut tx, "openai", &provider(), Some(versions)).await?, None);
        assert!(db::models::put(&mut tx, &name("m"), &model, None).await?.is_some());
        assert!(db::providers::delete(&mut tx, "openai").await?);
    }
    assert_eq!(db::models::put(&mut tx, &name("m"), &model, None).await?, None);
    assert!(db::providers::put(&mut tx, "openai", &json!({"driver": "odd"}), None).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_model_counts_when_its_credential_is_stored() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    migrate(&fixture, &["a"]).await?;
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let capability = db::providers::capability(&mut tx, &name("a")).await?.expect("a model");
    assert!(!capability.has_credential && db::providers::capabilities(&mut tx).await?.is_empty());
    let mut scheduler = fixture.db.scheduler().await?;
    let key = db::MasterKey::new([7; 32]);
    db::credentials::put(&mut scheduler, &key, "openai", &"sk".into()).await?;
    scheduler.commit().await?;
    let capability = db::providers::capability(&mut tx, &name("a")).await?.expect("a model");
    assert!(capability.has_credential && db::providers::capabilities(&mut tx).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_hint_wakes_the_dispatch_of_its_provider_batch() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[3]).await?;
    fixture.form(3).await?;
    let park = r#"UPDATE dispatches SET route = 'batch', stage = '{"stage": "submitted", "id": "batch_1"}', place = '{}', limit_group = 'x',
        origin = dispatch_id, lease_owner = NULL, run_at = now() + interval '1 hour'"#;
    fixture.execute(park).await?;
    let wake = async |provider: &str, remote_id: &str| -> anyhow::Result<bool> {
        let mut tx = fixture.db.scheduler().await?;
        let woken = db::provider_batches::wake(&mut tx, provider, remote_id).await?;
        tx.commit().await?;
        Ok(woken)
    };
    assert!(!wake("sandbox", "batch_2").await? && !wake("other", "batch_1").await?);
    assert_eq!(fixture.count("dispatches WHERE run_at <= now()").await?, 0);
    assert!(wake("sandbox", "batch_1").await?);
    assert_eq!(fixture.count("dispatches WHERE run_at <= now()").await?, 1);
    Ok(())
}
