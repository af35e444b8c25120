//! Tenants that share a provider's queue.

use client::api::{Client, NewGrant, NewKey, TenantChange};
use serde_json::json;
use tests::Rig;

use super::support::{LONG, eager_with, patch_batches, start, submission};
use crate::jobs::support::submit;

/// Another tenant of the rig, with the same rights to its files.
async fn another(rig: &Rig) -> anyhow::Result<Client> {
    let change = TenantChange { name: Some("other".to_owned()), ..TenantChange::default() };
    let tenant = rig.admin.create_tenant(&change).await?;
    let scopes = vec!["jobs:read".to_owned(), "jobs:write".to_owned()];
    let key = rig.admin.create_key(&tenant.id, &NewKey { name: "other".to_owned(), scopes, expires_at: None }).await?;
    let uri_prefix = format!("file://{}/", rig.objects().display());
    rig.admin
        .create_grant(&tenant.id, &NewGrant { uri_prefix, access: "read_write".to_owned(), credential: None })
        .await?;
    Ok(Client::new(&rig.url, key.key.as_deref().unwrap_or_default())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_job_gets_its_share_of_the_queue_beside_a_large_one() -> anyhow::Result<()> {
    let rig = start(eager_with(json!({"max_enqueued_tokens": 2_000}))).await?;
    patch_batches(&rig, json!({"complete_ms": 1_000, "max_enqueued_tokens": 2_000})).await?;
    let other = another(&rig).await?;
    let text = |row: usize| format!("{row} {}", "word ".repeat(6));
    let large = submit(&rig, &submission(&rig, "large", 4_000, text)?).await?;
    rig.wait_for(&large, LONG, |job| job.counts.succeeded > 0).await?;
    let small = other.submit(&submission(&rig, "small", 40, text)?, None).await?.id.clone();
    let until = std::time::Instant::now() + LONG;
    let small = loop {
        let job = other.job(&small, None).await?;
        if job.status.is_final() || std::time::Instant::now() > until {
            break job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let large_job = rig.client.job(&large, None).await?;
    assert_eq!(small.counts.succeeded, 40, "{}", rig.logs());
    assert!(!large_job.status.is_final(), "the small job did not wait for the large one");
    rig.client.cancel(&large).await?;
    Ok(())
}
