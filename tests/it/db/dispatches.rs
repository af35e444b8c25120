//! Rows are handed out once, and open again only without an outcome.

use std::collections::{BTreeMap, HashSet};

use domain::row_set::RowSet;

use super::fixture::{Fixture, failure, success};

async fn rows(fixture: &Fixture, lease: &db::dispatches::DispatchLease) -> anyhow::Result<(u32, RowSet)> {
    let mut tx = fixture.db.tenant(lease.tenant_id).await?;
    let [rows] = &db::dispatches::rows(&mut tx, lease).await?[..] else { anyhow::bail!("a dispatch of one chunk") };
    Ok((rows.chunk_no, rows.rows.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_workers_never_form_the_same_row() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let (first, second) = (fixture.running(&[300, 41, 200]).await?, fixture.running(&[150]).await?);
    let workers = (0..8).map(|_| async {
        let mut taken = Vec::new();
        while let Some(lease) = fixture.try_form(fastrand::usize(1..20)).await? {
            let (chunk_no, rows) = rows(&fixture, &lease).await?;
            taken.extend(rows.iter().map(|row| (lease.job_id, chunk_no, row)));
        }
        anyhow::Ok(taken)
    });
    let all = futures::future::try_join_all(workers).await?.concat();
    let once: HashSet<_> = all.iter().collect();
    assert_eq!(once.len(), all.len(), "a row was handed out twice");
    // A worker may have found a chunk exhausted by another while rows were left, so what is left is counted too.
    let open: i64 =
        fixture.select("SELECT coalesce(sum(row_count - bit_count(in_flight)), 0)::bigint FROM chunks").await?[0];
    assert_eq!(all.len() + usize::try_from(open)?, 691);
    assert!(all.iter().any(|row| row.0 == first) && all.iter().any(|row| row.0 == second));
    Ok(())
}

/// Workers that form, lose their leases, answer, answer late and settle in any order.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_workers_do_each_row_has_one_outcome() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[120, 80]).await?;
    let first_rows = [0, 120];
    let workers = (0..6).map(|_| async {
        let mut stored = 0;
        for _ in 0..2_000 {
            let Some(mut lease) = fixture.try_form(fastrand::usize(1..30)).await? else {
                if fixture.count("chunks WHERE bit_count(closed) < row_count").await? == 0 {
                    break;
                }
                continue;
            };
            let (chunk_no, rows) = rows(&fixture, &lease).await?;
            let stale = lease.clone();
            if fastrand::bool() {
                fixture
                    .execute(&format!(
                        "UPDATE dispatches SET lease_epoch = 2 WHERE dispatch_id = '{}'",
                        lease.dispatch_id.0
                    ))
                    .await?;
                lease.epoch = 2;
            }
            let first_row = first_rows[usize::try_from(chunk_no)?];
            let some: Vec<_> =
                rows.iter().filter(|_| fastrand::u8(0..4) > 0).map(|row| first_row + row as u64).collect();
            let outcomes: Vec<_> =
                some.iter().map(|row| if row % 7 == 0 { failure(*row) } else { success(*row, "mine") }).collect();
            let late: Vec<_> = some.iter().filter(|row| *row % 3 == 0).map(|row| success(*row, "late")).collect();
            let commits = if fastrand::bool() {
                [(&lease, outcomes), (&stale, late)]
            } else {
                [(&stale, late), (&lease, outcomes)]
            };
            for (lease, outcomes) in commits {
                stored += fixture.commit(lease, chunk_no, &outcomes, &[]).await?.stored;
            }
            assert!(fixture.settle(&lease).await?);
        }
        anyhow::Ok(stored)
    });
    let stored: usize = futures::future::try_join_all(workers).await?.iter().sum();
    assert_eq!(stored, 200);
    assert_eq!(fixture.count("outcomes").await?, 200);
    let counts = fixture.job(job_id).await?.counts;
    assert_eq!((counts.succeeded + counts.failed, counts.running), (200, 0));
    let statuses: BTreeMap<i16, i64> = BTreeMap::from([
        (0, fixture.count("outcomes WHERE status = 0").await?),
        (1, fixture.count("outcomes WHERE status = 1").await?),
    ]);
    assert_eq!((counts.succeeded, counts.failed), (u64::try_from(statuses[&0])?, u64::try_from(statuses[&1])?));
    assert_eq!(fixture.count("job_steps WHERE kind = 'seal'").await?, 2);
    assert_eq!(fixture.count("dispatches").await?, 0);
    Ok(())
}

#[tokio::test]
async fn settling_opens_exactly_the_rows_without_an_outcome() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    fixture.running(&[10]).await?;
    let lease = fixture.form(6).await?;
    let other = fixture.form(2).await?;
    fixture.commit(&lease, 0, &[success(1, ""), failure(4)], &[]).await?;
    assert!(fixture.settle(&lease).await?);
    let next = fixture.form(100).await?;
    assert_eq!(rows(&fixture, &next).await?.1.iter().collect::<Vec<_>>(), [0, 2, 3, 5, 8, 9]);
    assert_eq!(rows(&fixture, &other).await?.1.iter().collect::<Vec<_>>(), [6, 7]);
    assert!(!fixture.settle(&lease).await?, "settled once");
    Ok(())
}

#[tokio::test]
async fn a_suspended_tenant_s_and_a_paused_job_s_rows_are_not_handed_out() -> anyhow::Result<()> {
    use domain::job::Event;
    let fixture = Fixture::new().await?;
    let job_id = fixture.running(&[10]).await?;
    fixture.transition(job_id, Event::Pause).await?;
    assert!(fixture.try_form(1).await?.is_none());
    fixture.transition(job_id, Event::Resume).await?;
    assert!(fixture.try_form(1).await?.is_some());
    fixture.execute("UPDATE tenants SET status = 'suspended'").await?;
    assert!(fixture.try_form(1).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn jobs_take_turns() -> anyhow::Result<()> {
    let fixture = Fixture::new().await?;
    let (first, second) = (fixture.running(&[100]).await?, fixture.running(&[100]).await?);
    let mut turns = Vec::new();
    for _ in 0..4 {
        turns.push(fixture.form(10).await?.job_id);
    }
    assert_eq!(turns, [first, second, first, second]);
    Ok(())
}
