//! Dispatches on the batch route: formed, fenced, sized, split, doubled, and their shares of the allowance.

use std::time::Duration;

use db::dispatches::{Budget, Destination, DispatchLease};
use db::provider_batches::{self, Need};
use domain::allowance::{Allowance, Grant};
use domain::provider::LimitGroup;
use domain::provider_batch::{Remote, Stage};
use domain::route::Route;
use domain::row_set::RowSet;
use serde_json::json;

use super::fixture::{Fixture, LEASE, new_worker};

const GROUP: &str = "key/model";

/// A provider batch of up to `requests` open rows, leased.
pub async fn form(fixture: &Fixture, requests: u64) -> anyhow::Result<DispatchLease> {
    let mut tx = fixture.db.scheduler().await?;
    let job = db::dispatches::candidate(&mut tx, &[], false, &[]).await?.ok_or_else(|| anyhow::anyhow!("no job"))?;
    let budget = Budget { requests, bytes: u64::MAX, overhead: 0, tokens: u64::MAX };
    let group = LimitGroup(GROUP.to_owned());
    let place = json!({});
    let destination = Destination {
        place: &place,
        limit_group: &group,
        credential: None,
        credential_version: None,
        has_realtime: true,
    };
    db::dispatches::form_batch(&mut tx, &job, budget, &destination).await?;
    tx.commit().await?;
    claim(fixture).await
}

pub async fn claim(fixture: &Fixture) -> anyhow::Result<DispatchLease> {
    let mut tx = fixture.db.scheduler().await?;
    let lease = db::dispatches::claim(&mut tx, new_worker(), LEASE, Route::Batch, 1).await?.pop();
    tx.commit().await?;
    lease.ok_or_else(|| anyhow::anyhow!("nothing is due"))
}

async fn reserve(fixture: &Fixture, lease: &DispatchLease, tokens: u64) -> anyhow::Result<Grant> {
    let allowance = Allowance { tokens: Some(100), batches: None };
    let need = Need { limit_group: GROUP, tokens, allowance, spacing: Duration::ZERO, probe: LEASE, alone: false };
    let mut tx = fixture.db.scheduler().await?;
    let intent = Stage::Formed.creating(chrono::DateTime::UNIX_EPOCH)?;
    let grant = provider_batches::reserve(&mut tx, lease, need, &intent).await?;
    tx.commit().await?;
    Ok(grant)
}

fn submitted(id: &str) -> Stage {
    let since = chrono::DateTime::UNIX_EPOCH;
    let id = id.to_owned();
    Stage::Submitted(Remote {
        id,
        file: None,
        since,
        unconfirmed: false,
        lost: 1,
        known: Vec::new(),
        cancel_asked: None,
    })
}

async fn in_flight(fixture: &Fixture) -> anyhow::Result<i64> {
    Ok(fixture.select("SELECT coalesce(sum(bit_count(in_flight)), 0)::bigint FROM chunks").await?[0])
}

#[tokio::test]
async fn leftovers_of_many_chunks_go_together() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[10, 20, 30]).await?;
    let lease = form(&fixture, 45).await?;
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let rows = provider_batches::request_rows(&mut tx, &lease).await?;
    assert_eq!(rows.iter().map(|chunk| chunk.rows.count()).collect::<Vec<_>>(), [10, 20, 15]);
    assert_eq!(in_flight(&fixture).await?, 45);
    Ok(())
}

#[tokio::test]
async fn rows_that_do_not_fit_are_open_again() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[10, 10]).await?;
    let lease = form(&fixture, 20).await?;
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let mut rows = provider_batches::request_rows(&mut tx, &lease).await?;
    rows[1].rows = rows[1].rows.first(3);
    provider_batches::keep_rows(&mut tx, &lease, &rows, 7).await?;
    tx.commit().await?;
    assert_eq!(in_flight(&fixture).await?, 13);
    assert_eq!(fixture.select::<bool>("SELECT has_open FROM chunks ORDER BY chunk_no").await?, [false, true]);
    assert_eq!(fixture.select::<i64>("SELECT requests FROM dispatches").await?, [13]);
    Ok(())
}

#[tokio::test]
async fn halves_are_dispatches_of_their_own_and_keep_their_rows() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[10, 10]).await?;
    let lease = form(&fixture, 20).await?;
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let rows = provider_batches::request_rows(&mut tx, &lease).await?;
    provider_batches::split(&mut tx, &lease, &rows, 100).await?;
    tx.commit().await?;
    assert_eq!(in_flight(&fixture).await?, 20);
    let halves = [claim(&fixture).await?, claim(&fixture).await?];
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    for half in &halves {
        assert!(db::dispatches::settle(&mut tx, half).await?);
    }
    tx.commit().await?;
    assert_eq!(in_flight(&fixture).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_duplicate_that_settles_gives_no_rows_back() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[10]).await?;
    let lease = form(&fixture, 10).await?;
    let mut tx = fixture.db.scheduler().await?;
    let own = submitted("a").knowing("b".to_owned());
    provider_batches::spawn_duplicate(&mut tx, &lease, &submitted("b"), &own).await?;
    tx.commit().await?;
    let duplicate = claim(&fixture).await?;
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    assert!(db::dispatches::settle(&mut tx, &duplicate).await?);
    tx.commit().await?;
    assert_eq!(in_flight(&fixture).await?, 10);
    assert_eq!(fixture.select::<String>("SELECT remote_id FROM dispatches").await?, ["a"]);
    Ok(())
}

#[tokio::test]
async fn a_share_is_held_from_the_intent_to_the_end() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[10, 10]).await?;
    let (first, second) = (form(&fixture, 10).await?, form(&fixture, 10).await?);
    assert_eq!(reserve(&fixture, &first, 60).await?, Grant::Now);
    assert_eq!(reserve(&fixture, &second, 60).await?, Grant::Later);
    assert_eq!(reserve(&fixture, &second, 101).await?, Grant::Never);
    let mut tx = fixture.db.scheduler().await?;
    provider_batches::enter(&mut tx, &first, &submitted("a")).await?;
    tx.commit().await?;
    assert_eq!(reserve(&fixture, &second, 60).await?, Grant::Later);
    let mut tx = fixture.db.scheduler().await?;
    provider_batches::enter(
        &mut tx,
        &first,
        &Stage::Watching { until: chrono::DateTime::UNIX_EPOCH, known: Vec::new() },
    )
    .await?;
    tx.commit().await?;
    assert_eq!(reserve(&fixture, &second, 60).await?, Grant::Now);
    Ok(())
}

#[tokio::test]
async fn a_stale_holder_of_a_provider_batch_changes_nothing() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[10]).await?;
    let stale = form(&fixture, 10).await?;
    fixture.execute("UPDATE dispatches SET run_at = now()").await?;
    let holder = claim(&fixture).await?;
    let mut tx = fixture.db.scheduler().await?;
    assert!(matches!(provider_batches::enter(&mut tx, &stale, &submitted("a")).await, Err(db::Error::Fenced)));
    assert!(matches!(provider_batches::hand_back(&mut tx, &stale, LEASE, None).await, Err(db::Error::Fenced)));
    assert!(matches!(provider_batches::load(&mut tx, &stale).await, Err(db::Error::Fenced)));
    drop(tx);
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    assert!(matches!(provider_batches::keep_rows(&mut tx, &stale, &[], 0).await, Err(db::Error::Fenced)));
    assert!(!db::dispatches::settle(&mut tx, &stale).await?);
    assert!(db::dispatches::settle(&mut tx, &holder).await?);
    Ok(())
}

#[tokio::test]
async fn rows_kept_for_real_time_are_not_picked() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[10]).await?;
    let lease = form(&fixture, 4).await?;
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    provider_batches::bar_rows(&mut tx, &lease).await?;
    assert!(db::dispatches::settle(&mut tx, &lease).await?);
    tx.commit().await?;
    let lease = form(&fixture, 10).await?;
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let rows = provider_batches::request_rows(&mut tx, &lease).await?;
    let mut expected = RowSet::full(10);
    (0..4).for_each(|offset| expected.remove(offset));
    assert_eq!(rows[0].rows, expected);
    Ok(())
}
