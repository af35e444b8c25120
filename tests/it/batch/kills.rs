//! kill -9 while provider batches are in every stage: of one worker after the other, and of everything that is ours at once.
//!
//! `GRISTMILL_TEST_KILLS` sets the kills of each test; 50 is the full count, and meets every stage.

use std::time::{Duration, Instant};

use client::api::Job;
use serde_json::json;
use tests::{Rig, RigOptions};

use super::support::{LONG, eager_with, patch_batches, start_with, submission, totals};
use crate::faults::disturbed::select;
use crate::faults::own_postgres::OwnPostgres;
use crate::jobs::support::{assert_clean, submit};

const FULL_COUNT: usize = 50;

fn kills() -> usize {
    #[expect(clippy::disallowed_methods, reason = "a test's own knob")]
    let asked = std::env::var("GRISTMILL_TEST_KILLS").ok();
    asked.and_then(|kills| kills.parse().ok()).unwrap_or(7)
}

async fn rig(database_url: Option<String>, max_requests: u64) -> anyhow::Result<Rig> {
    let options = RigOptions { workers: 2, database_url, ..RigOptions::default() };
    let rig = start_with(options, eager_with(json!({"max_requests": max_requests, "create_settle_s": 3}))).await?;
    // Every stage lasts for long enough to be met: a lost reply keeps a create in doubt, a cut download is waited for with its first
    // chunks committed.
    let slow = json!({
        "complete_ms": 1_500, "validating_ms": 300, "list_lag_ms": 1_000, "file_processing_ms": 300, "cancel_ms": 1_000,
        "faults": [
            {"op": "create", "fault": "drop_after", "every_nth": 3}, {"op": "download", "fault": "truncate", "every_nth": 2},
        ],
    });
    patch_batches(&rig, slow).await?;
    Ok(rig)
}

/// A job runs while one of the workers is killed again and again, at moments spread over all stages.
#[tokio::test(flavor = "multi_thread")]
async fn j1_killed_workers_double_and_lose_no_provider_batch() -> anyhow::Result<()> {
    let mut rig = rig(None, 400).await?;
    let rows = 8_000;
    let job_id = submit(&rig, &submission(&rig, "kills", rows, |row| format!("row {row}"))?).await?;
    for kill in 0..kills() {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(100..1_500))).await;
        let worker = kill % 2;
        rig.workers[worker].kill9()?;
        rig.workers[worker].restart()?;
        if rig.client.job(&job_id, None).await?.status.is_final() {
            break;
        }
    }
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", rows as u64), "{}", rig.logs());
    assert_clean(&rig, &job_id)?;
    assert_nothing_is_doubled(&rig, &[job])
}

/// What the provider did and what it charged for is what the jobs know of.
fn assert_nothing_is_doubled(rig: &Rig, jobs: &[Job]) -> anyhow::Result<()> {
    let totals = totals(rig)?;
    let answered: u64 = jobs.iter().map(|job| job.counts.succeeded).sum();
    assert_eq!(
        (totals.batches.billed, totals.batches.billed_again),
        (answered, 0),
        "bought twice, or lost: {totals:?}"
    );
    let booked: u64 = jobs.iter().map(|job| job.usage.input_tokens).sum();
    assert_eq!(totals.billed_prompt_tokens, booked, "{totals:?}");
    Ok(())
}

/// Where a dispatch is when everything is killed.
const MOMENTS: [&str; 7] = ["formed", "uploaded", "creating", "submitted", "ended", "collecting", "cancelling"];

/// Rows of each job: three chunks in one provider batch.
const ROWS: usize = 4_500;

/// Jobs, one after the other, for as long as there is something to kill.
struct Victims {
    rig: Rig,
    postgres: OwnPostgres,
    jobs: Vec<String>,
    cancelled: usize,
}

impl Victims {
    async fn submit(&mut self) -> anyhow::Result<()> {
        let name = format!("kills-{}", self.jobs.len());
        let submission = submission(&self.rig, &name, ROWS, |row| format!("{name} {row}"))?;
        self.jobs.push(submit(&self.rig, &submission).await?);
        Ok(())
    }

    /// Waits until a dispatch has reached the moment, with new jobs whenever the last one has ended.
    async fn reach(&mut self, moment: &str) -> anyhow::Result<()> {
        if moment == "cancelling" {
            self.submit().await?;
            let last = "job_id = (SELECT job_id FROM jobs ORDER BY job_id DESC LIMIT 1)";
            self.wait_for("submitted", last).await?;
            // A job that has ended meanwhile can't be cancelled any more.
            let cancelled = self.rig.client.cancel(self.jobs.last().expect("a job")).await;
            self.cancelled += usize::from(cancelled.is_ok());
            return Ok(());
        }
        if moment == "collecting" {
            let some = |collected| {
                format!(
                    "EXISTS (SELECT FROM dispatch_rows r WHERE r.dispatch_id = d.dispatch_id AND {collected} r.collected)"
                )
            };
            return self.wait_for("ended", &format!("{} AND {}", some(""), some("NOT"))).await;
        }
        self.wait_for(moment, "true").await
    }

    async fn wait_for(&mut self, stage: &str, which: &str) -> anyhow::Result<()> {
        let met = format!("SELECT count(*) FROM dispatches d WHERE stage_name = '{stage}' AND owns_rows AND {which}");
        let open = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'planning', 'running')";
        let end = Instant::now() + LONG;
        while Instant::now() < end {
            if select::<i64>(&self.rig, &met).await.is_some_and(|count| count > 0) {
                return Ok(());
            }
            if select::<i64>(&self.rig, open).await == Some(0) {
                self.submit().await?;
            }
        }
        anyhow::bail!("no dispatch was ever {stage}\n{}", self.rig.logs())
    }

    /// All that is ours; the provider goes on.
    fn kill_everything(&mut self) -> anyhow::Result<()> {
        self.rig.workers.iter_mut().try_for_each(tests::Process::kill9)?;
        self.rig.api.kill9()?;
        self.postgres.kill9()?;
        self.postgres.restart()?;
        self.rig.api.restart()?;
        self.rig.workers.iter_mut().try_for_each(tests::Process::restart)
    }

    /// Once the API answers again.
    async fn until_up(&self) -> anyhow::Result<()> {
        let end = Instant::now() + LONG;
        while self.rig.client.models(None).await.is_err() {
            anyhow::ensure!(Instant::now() < end, "the API does not come back\n{}", self.rig.logs());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn finish(self) -> anyhow::Result<()> {
        let mut ended = Vec::new();
        for job_id in &self.jobs {
            let job = self.rig.wait(job_id, LONG).await?;
            let counts = job.counts;
            assert_eq!(counts.succeeded + counts.cancelled, ROWS as u64, "{job:?}\n{}", self.rig.logs());
            assert_clean(&self.rig, job_id)?;
            ended.push(job);
        }
        let cancelled = ended.iter().filter(|job| job.status.name() == "cancelled").count();
        let completed = ended.iter().filter(|job| job.status.name() == "completed").count();
        assert_eq!((cancelled, completed), (self.cancelled, ended.len() - self.cancelled));
        eprintln!("{cancelled} jobs cancelled, {completed} completed: {:?}", totals(&self.rig)?);
        assert_nothing_is_doubled(&self.rig, &ended)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn j1_kills_of_everything_in_every_stage_double_and_lose_nothing() -> anyhow::Result<()> {
    let postgres = OwnPostgres::start().await?;
    let rig = rig(Some(postgres.url()), 5_000).await?;
    let mut victims = Victims { rig, postgres, jobs: Vec::new(), cancelled: 0 };
    victims.submit().await?;
    for kill in 0..kills() {
        victims.reach(MOMENTS[kill % MOMENTS.len()]).await?;
        // Within the stage, or between it and the next.
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..30))).await;
        victims.kill_everything()?;
        victims.until_up().await?;
    }
    assert!(kills() < FULL_COUNT || victims.cancelled > 0, "no job was cancelled");
    victims.finish().await
}
