//! Submits and changes of state that race.

use db::jobs::{Accepted, Idempotency, NewJob};
use domain::ids::JobId;
use domain::job::{Event, State};
use domain::provider::ModelName;
use serde_json::json;
use uuid::Uuid;

use super::fixture::{Fixture, spec, tomorrow};

async fn submit(fixture: &Fixture, key: &str, body: u8) -> anyhow::Result<(JobId, Accepted)> {
    let (spec, input) = (spec(), json!({}));
    let model = ModelName { provider: "sandbox".to_owned(), model: "echo".to_owned() };
    let job_id = JobId(Uuid::now_v7());
    let idempotency = Some(Idempotency { key, body_sha256: [body; 32] });
    let deadline = tomorrow();
    let job = NewJob { job_id, spec: &spec, model: &model, input: &input, deadline, idempotency };
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let accepted = db::jobs::insert(&mut tx, &job).await?;
    tx.commit().await?;
    Ok((job_id, accepted))
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_submits_with_one_key_make_one_job() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let answers = futures::future::try_join_all((0..50).map(|_| submit(&fixture, "key", 1))).await?;
    let made: Vec<_> = answers.iter().filter(|answer| answer.1 == Accepted::New).map(|answer| answer.0).collect();
    let [job_id] = made[..] else { panic!("{made:?}") };
    assert!(answers.iter().all(|(_, accepted)| match accepted {
        Accepted::New | Accepted::InProgress => true,
        Accepted::Replayed(replayed) => *replayed == job_id,
        Accepted::KeyReused => false,
    }));
    assert_eq!((fixture.count("jobs").await?, fixture.count("job_steps").await?), (1, 1));
    assert_eq!(submit(&fixture, "key", 1).await?.1, Accepted::Replayed(job_id));
    assert_eq!(submit(&fixture, "key", 2).await?.1, Accepted::KeyReused);
    assert_eq!(submit(&fixture, "other", 1).await?.1, Accepted::New);
    Ok(())
}

#[tokio::test]
async fn a_submit_that_was_not_committed_does_not_burn_its_key() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let (spec, input) = (spec(), json!({}));
    let model = ModelName { provider: "sandbox".to_owned(), model: "echo".to_owned() };
    let idempotency = Some(Idempotency { key: "key", body_sha256: [1; 32] });
    let job_id = JobId(Uuid::now_v7());
    let job = NewJob { job_id, spec: &spec, model: &model, input: &input, deadline: tomorrow(), idempotency };
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    assert_eq!(db::jobs::insert(&mut tx, &job).await?, Accepted::New);
    assert_eq!(submit(&fixture, "key", 1).await?.1, Accepted::InProgress);
    drop(tx);
    // The rollback goes its way when the connection is next used, so the lock may outlive the drop by a moment.
    for _ in 0..1_000 {
        match submit(&fixture, "key", 1).await?.1 {
            Accepted::InProgress => tokio::task::yield_now().await,
            accepted => {
                assert_eq!(accepted, Accepted::New);
                return Ok(());
            }
        }
    }
    anyhow::bail!("the key is burned")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_cancels_one_is_refused() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    for _ in 0..10 {
        let job_id = fixture.running(&[2]).await?;
        let (first, second) =
            tokio::join!(fixture.transition(job_id, Event::Cancel), fixture.transition(job_id, Event::Cancel));
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        let refused = first.err().or(second.err());
        assert!(matches!(refused, Some(db::Error::Transition(_))), "{refused:?}");
        let events = format!("events WHERE job_id = '{}' AND state = 'cancelling'", job_id.0);
        assert_eq!(fixture.count(&events).await?, 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_wins_over_pause_in_either_order() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    for _ in 0..10 {
        let job_id = fixture.running(&[2]).await?;
        let (cancelled, paused) =
            tokio::join!(fixture.transition(job_id, Event::Cancel), fixture.transition(job_id, Event::Pause));
        assert!(cancelled.is_ok(), "{cancelled:?}");
        assert!(matches!(paused, Ok(_) | Err(db::Error::Transition(_))), "{paused:?}");
        assert_eq!(fixture.job(job_id).await?.state.name(), "cancelling");
    }
    Ok(())
}

#[tokio::test]
async fn only_open_jobs_past_their_deadline_are_due() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let (queued, running, ended, later) =
        (fixture.submit().await?, fixture.running(&[1]).await?, fixture.submit().await?, fixture.submit().await?);
    fixture.transition(ended, Event::Cancel).await?;
    fixture
        .execute(&format!("UPDATE jobs SET deadline = now() - interval '1 second' WHERE job_id <> '{}'", later.0))
        .await?;
    let mut tx = fixture.db.scheduler().await?;
    let mut due: Vec<_> = db::jobs::due(&mut tx, 10).await?.into_iter().map(|(_, job_id)| job_id).collect();
    due.sort_unstable();
    assert_eq!(due, [queued, running]);
    drop(tx);
    for (job_id, state) in [(queued, "expired"), (running, "expiring")] {
        assert_eq!(fixture.transition(job_id, Event::DeadlinePassed).await?.map(State::name), Some(state));
    }
    let mut tx = fixture.db.scheduler().await?;
    assert_eq!(db::jobs::due(&mut tx, 10).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_job_cancelled_while_planning_leaves_no_work() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let (job_id, lease) = fixture.planning().await?;
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    db::chunks::add(&mut tx, &lease, &super::fixture::new_chunk(0, 0, 5), &json!(1)).await?;
    tx.commit().await?;
    assert_eq!(fixture.transition(job_id, Event::Cancel).await?.map(State::name), Some("cancelled"));
    for left in ["job_steps", "chunks", "outcomes"] {
        assert_eq!(fixture.count(left).await?, 0, "{left}");
    }
    let mut tx = fixture.db.tenant(fixture.tenant_id).await?;
    let added = db::chunks::add(&mut tx, &lease, &super::fixture::new_chunk(1, 5, 5), &json!(2)).await;
    assert!(matches!(added, Err(db::Error::Fenced)), "{added:?}");
    Ok(())
}
