//! A worker that has lost its lease changes nothing, whatever it writes.

use db::{Error, seal, steps};
use domain::outcome::Status;
use domain::row_set::RowSet;
use serde_json::json;

use super::fixture::{Fixture, LEASE, attempt, failure, finish_seal, new_chunk};

#[tokio::test]
async fn stale_plan_writes_change_nothing() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let (_, stale) = fixture.planning().await?;
    fixture.take_over_step(&stale).await?;
    let before = fixture.everything().await?;

    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    assert!(matches!(db::chunks::begin_plan(&mut tx, &stale).await, Err(Error::Fenced)));
    let added = db::chunks::add(&mut tx, &stale, &new_chunk(0, 0, 5), &json!(1)).await;
    assert!(matches!(added, Err(Error::Fenced)));
    assert!(matches!(db::chunks::end_plan(&mut tx, &stale, 5, 1, None).await, Err(Error::Fenced)));
    assert!(matches!(steps::cursor(&mut tx, &stale).await, Err(Error::Fenced)));
    assert!(matches!(steps::hand_back(&mut tx, &stale, LEASE, Some("why")).await, Err(Error::Fenced)));
    assert!(matches!(steps::fail_job(&mut tx, &stale, "code", "why").await, Err(Error::Fenced)));
    // Even if it went on and committed.
    tx.commit().await?;
    assert_eq!(fixture.everything().await?, before);
    Ok(())
}

#[tokio::test]
async fn stale_seal_writes_change_nothing() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[2]).await?;
    fixture.succeed(0, 0, 2).await?;
    let stale = fixture.claim_step(job_id).await?;
    let held = fixture.take_over_step(&stale).await?;
    let before = fixture.everything().await?;

    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let finished = finish_seal(&mut tx, &stale, 0, &RowSet::full(2), Status::Succeeded).await;
    assert!(matches!(finished, Err(Error::Fenced)));
    assert!(matches!(seal::skip(&mut tx, &stale).await, Err(Error::Fenced)));
    tx.commit().await?;
    assert_eq!(fixture.everything().await?, before);

    fixture.seal(&held, 0, &RowSet::full(2), Status::Succeeded).await?;
    let stale = fixture.claim_step(job_id).await?;
    fixture.take_over_step(&stale).await?;
    let before = fixture.everything().await?;
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    assert!(matches!(seal::finish_job(&mut tx, &stale, &json!({})).await, Err(Error::Fenced)));
    tx.commit().await?;
    assert_eq!(fixture.everything().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_stale_settlement_changes_nothing() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[4]).await?;
    let stale = fixture.form(3).await?;
    fixture.take_over(&stale).await?;
    let before = fixture.everything().await?;
    assert!(!fixture.settle(&stale).await?);
    assert_eq!(fixture.everything().await?, before);
    Ok(())
}

#[tokio::test]
async fn stale_attempts_change_nothing() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[4]).await?;
    let stale = fixture.form(4).await?;
    fixture.take_over(&stale).await?;
    let before = fixture.everything().await?;
    let committed = fixture.commit(&stale, 0, &[], &[attempt(0, 1), attempt(1, 1)]).await?;
    assert_eq!((committed.stored, committed.fenced), (0, 2));
    assert_eq!(fixture.everything().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_stale_failure_leaves_its_row_open() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[4]).await?;
    let stale = fixture.form(4).await?;
    let held = fixture.take_over(&stale).await?;
    let committed = fixture.commit(&stale, 0, &[failure(2)], &[]).await?;
    assert_eq!((committed.stored, committed.fenced), (0, 1));
    assert_eq!(fixture.job(job_id).await?.counts.failed, 0);
    assert_eq!(fixture.count("outcomes").await?, 0);
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    assert_eq!(db::dispatches::rows(&mut tx, &held).await?[0].rows.count(), 4);
    let first = db::outcomes::histories(&mut tx, &held, 0, 4).await?;
    assert_eq!(first, [], "it counts against no row's attempts");
    Ok(())
}
