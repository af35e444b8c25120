//! Leases on steps and dispatches.

use db::dispatches;
use db::steps;
use domain::ids::{DispatchId, StepId, WorkerId};

use super::fixture::{Fixture, LEASE, new_worker};

async fn claimable(fixture: &Fixture, worker: WorkerId) -> anyhow::Result<(Vec<i32>, Vec<i32>)> {
    let mut tx = fixture.db.scheduler().await?;
    let steps = steps::claim(&mut tx, worker, LEASE, 10).await?.iter().map(|lease| lease.epoch).collect();
    let dispatches = dispatches::claim(&mut tx, worker, LEASE, domain::route::Route::Realtime, 10)
        .await?
        .iter()
        .map(|lease| lease.epoch)
        .collect();
    tx.commit().await?;
    Ok((steps, dispatches))
}

async fn expire_all(fixture: &Fixture) -> anyhow::Result<()> {
    fixture.execute("UPDATE job_steps SET run_at = now()").await?;
    fixture.execute("UPDATE dispatches SET run_at = now()").await?;
    Ok(())
}

/// A heartbeat for all there is: the epochs of what the worker holds.
async fn beat(fixture: &Fixture, worker: WorkerId) -> anyhow::Result<(Vec<i32>, Vec<i32>)> {
    let all_steps: Vec<_> = fixture.select("SELECT step_id FROM job_steps").await?.into_iter().map(StepId).collect();
    let all_dispatches: Vec<_> =
        fixture.select("SELECT dispatch_id FROM dispatches").await?.into_iter().map(DispatchId).collect();
    let mut tx = fixture.db.scheduler().await?;
    let steps = steps::heartbeat(&mut tx, worker, &all_steps, LEASE).await?;
    let dispatches = dispatches::heartbeat(&mut tx, worker, &all_dispatches, LEASE).await?;
    tx.commit().await?;
    Ok((steps.iter().map(|held| held.1).collect(), dispatches.iter().map(|held| held.1).collect()))
}

/// A dispatch in flight and a plan step of another job, both held by the worker.
async fn held_by(worker: WorkerId) -> anyhow::Result<Fixture> {
    let fixture = Fixture::new().await?;
    fixture.running(&[4]).await?;
    fixture.form(2).await?;
    fixture.submit().await?;
    expire_all(&fixture).await?;
    assert_eq!(claimable(&fixture, worker).await?, (vec![1], vec![2]));
    Ok(fixture)
}

#[tokio::test]
async fn a_held_lease_is_not_taken() -> anyhow::Result<()> {
    let fixture = held_by(new_worker()).await?;
    assert_eq!(claimable(&fixture, new_worker()).await?, (vec![], vec![]));
    Ok(())
}

#[tokio::test]
async fn an_expired_lease_is_taken_by_another_worker_with_a_higher_epoch() -> anyhow::Result<()> {
    let fixture = held_by(new_worker()).await?;
    expire_all(&fixture).await?;
    assert_eq!(claimable(&fixture, new_worker()).await?, (vec![2], vec![3]));
    assert_eq!(claimable(&fixture, new_worker()).await?, (vec![], vec![]));
    Ok(())
}

#[tokio::test]
async fn a_heartbeat_prolongs_what_its_worker_holds_and_nothing_else() -> anyhow::Result<()> {
    let (worker, other) = (new_worker(), new_worker());
    let fixture = held_by(worker).await?;
    expire_all(&fixture).await?;
    assert_eq!(beat(&fixture, other).await?, (vec![], vec![]));
    // Nobody has taken them meanwhile, so they are its own still.
    assert_eq!(beat(&fixture, worker).await?, (vec![1], vec![2]));
    assert_eq!(claimable(&fixture, other).await?, (vec![], vec![]));
    Ok(())
}

#[tokio::test]
async fn a_lease_whose_holder_never_heard_of_it_runs_out() -> anyhow::Result<()> {
    let worker = new_worker();
    let fixture = held_by(worker).await?;
    expire_all(&fixture).await?;
    let mut tx = fixture.db.scheduler().await?;
    assert_eq!(steps::heartbeat(&mut tx, worker, &[], LEASE).await?, []);
    assert_eq!(dispatches::heartbeat(&mut tx, worker, &[], LEASE).await?, []);
    tx.commit().await?;
    assert_eq!(claimable(&fixture, worker).await?, (vec![2], vec![3]));
    Ok(())
}

#[tokio::test]
async fn a_heartbeat_tells_what_was_lost() -> anyhow::Result<()> {
    let (worker, other) = (new_worker(), new_worker());
    let fixture = held_by(worker).await?;
    expire_all(&fixture).await?;
    claimable(&fixture, other).await?;
    assert_eq!(beat(&fixture, worker).await?, (vec![], vec![]));
    Ok(())
}

#[tokio::test]
async fn a_step_handed_back_is_taken_at_once_or_after_its_delay() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let (job_id, lease) = fixture.planning().await?;
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    steps::hand_back(&mut tx, &lease, std::time::Duration::ZERO, Some("why")).await?;
    tx.commit().await?;
    let again = fixture.claim_step(job_id).await?;
    assert_eq!((again.epoch, again.failures), (lease.epoch + 1, 1));
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    steps::hand_back(&mut tx, &again, LEASE, None).await?;
    tx.commit().await?;
    assert_eq!(fixture.claim_steps().await?, []);
    Ok(())
}

#[tokio::test]
async fn a_paused_job_s_plan_is_left_alone_until_it_is_resumed() -> anyhow::Result<()> {
    use domain::job::Event;
    let fixture = Fixture::new().await?;
    let job_id = fixture.submit().await?;
    fixture.transition(job_id, Event::Pause).await?;
    assert_eq!(fixture.claim_steps().await?, []);
    fixture.transition(job_id, Event::Resume).await?;
    assert_eq!(fixture.claim_steps().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_claims_share_the_steps_out() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    for _ in 0..40 {
        fixture.submit().await?;
    }
    let claims = (0..8).map(|_| async {
        let mut mine = Vec::new();
        // A claim may find all free steps locked by others; the steps that it has missed are claimed by those.
        for _ in 0..10 {
            let mut tx = fixture.db.scheduler().await?;
            mine.extend(steps::claim(&mut tx, new_worker(), LEASE, 3).await?);
            tx.commit().await?;
        }
        anyhow::Ok(mine)
    });
    let mut all: Vec<_> =
        futures::future::try_join_all(claims).await?.concat().iter().map(|lease| lease.step_id.0).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 40);
    assert_eq!(fixture.select::<i32>("SELECT max(lease_epoch) FROM job_steps").await?, [1]);
    Ok(())
}
