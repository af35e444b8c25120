//! Secrets that are replaced while something still needs the old ones.

use db::MasterKey;
use secrecy::ExposeSecret;

use super::fixture::Fixture;

const NAME: &str = "openai";

fn key() -> MasterKey {
    MasterKey::new([7; 32])
}

/// Stores secrets one after the other under one name.
async fn put(fixture: &Fixture, secrets: &[&str]) -> anyhow::Result<Vec<i64>> {
    let mut tx = fixture.db.scheduler().await?;
    let mut versions = Vec::new();
    for secret in secrets {
        versions.push(db::credentials::put(&mut tx, &key(), NAME, &(*secret).into()).await?);
    }
    tx.commit().await?;
    Ok(versions)
}

/// Forgets what is not needed, while files at a provider are kept under the versions `in_use`.
async fn forget(fixture: &Fixture, in_use: &[i64]) -> anyhow::Result<u64> {
    fixture.execute("DELETE FROM remote_objects").await?;
    for version in in_use {
        fixture
            .execute(&format!(
                "INSERT INTO remote_objects (object_id, tenant_id, job_id, dispatch_id, kind, name, place, credential,
                    credential_version, run_at)
                VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'upload', 'x', '{{}}', '{NAME}',
                    {version}, now())"
            ))
            .await?;
    }
    let mut tx = fixture.db.scheduler().await?;
    let gone = db::credentials::forget_unused(&mut tx).await?;
    tx.commit().await?;
    Ok(gone)
}

async fn versions(fixture: &Fixture) -> anyhow::Result<Vec<i64>> {
    fixture.select("SELECT version FROM credential_versions ORDER BY version").await
}

#[tokio::test]
async fn a_replaced_secret_is_there_by_its_version() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    assert_eq!(put(&fixture, &["first", "second"]).await?, [1, 2]);
    let mut tx = fixture.db.scheduler().await?;
    let newest = db::credentials::get(&mut tx, &key(), NAME).await?.expect("a secret");
    assert_eq!((newest.secret.expose_secret(), newest.version), ("second", 2));
    let first = db::credentials::get_version(&mut tx, &key(), NAME, 1).await?;
    assert_eq!(first.as_ref().map(ExposeSecret::expose_secret), Some("first"));
    assert!(db::credentials::get_version(&mut tx, &key(), NAME, 3).await?.is_none());
    assert!(db::credentials::get(&mut tx, &key(), "other").await?.is_none());
    assert!(db::credentials::get(&mut tx, &MasterKey::new([8; 32]), NAME).await.is_err());
    Ok(())
}

#[tokio::test]
async fn what_was_replaced_is_forgotten_when_nothing_needs_it() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    put(&fixture, &["first", "second", "third", "fourth"]).await?;
    assert_eq!(forget(&fixture, &[]).await?, 0, "they were replaced at this moment");
    fixture.execute("UPDATE credential_versions SET created_at = created_at - interval '2 hours'").await?;
    assert_eq!(forget(&fixture, &[2]).await?, 2);
    assert_eq!(versions(&fixture).await?, [2, 4]);
    // The version after it is gone, and it goes nevertheless.
    assert_eq!(forget(&fixture, &[]).await?, 1);
    assert_eq!(versions(&fixture).await?, [4]);
    assert_eq!(put(&fixture, &["fifth"]).await?, [5]);
    Ok(())
}
