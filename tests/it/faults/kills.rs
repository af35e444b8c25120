//! kill -9 of workers, of the API and of Postgres at random moments, planning and merging included.
//!
//! `GRISTMILL_TEST_KILLS` sets the kills of each test; 20 is the full count, with 20,000 rows in each job, and meets every state.

use std::time::{Duration, Instant};

use tests::{Rig, RigOptions};

use super::disturbed::{LONG, PERMITS, finish, select, write_rows};
use super::own_postgres::OwnPostgres;

const WORKERS: usize = 2;
const FULL_COUNT: usize = 20;

#[expect(clippy::disallowed_methods, reason = "a test's size is set by its environment")]
fn kills() -> usize {
    std::env::var("GRISTMILL_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(3)
}

fn rows() -> u64 {
    (1_000 * kills() as u64).max(4_000)
}

/// Jobs of the same rows, one after the other, for as long as there is something to kill.
struct Victims {
    rig: Rig,
    input: String,
    jobs: Vec<String>,
    /// States met by kills.
    met: Vec<String>,
}

/// Kills that one job gets: the first while it is planned, the last while it is merged.
const KILLS_PER_JOB: usize = 7;

impl Victims {
    async fn start(database_url: Option<String>) -> anyhow::Result<Self> {
        let options = RigOptions { workers: WORKERS, sandbox_latency_ms: 20, database_url, ..RigOptions::default() };
        let rig = Rig::start(options).await?;
        let input = write_rows(&rig, rows())?;
        Ok(Self { rig, input, jobs: Vec::new(), met: Vec::new() })
    }

    /// Waits for the moment of a kill: a random one within a state of the last job. A state that was missed is waited for in a new
    /// job.
    async fn moment(&mut self, kill: usize) -> anyhow::Result<()> {
        let turn = kill % KILLS_PER_JOB;
        let (wanted, within_ms) = if turn == 0 {
            self.submit().await?;
            ("planning", 50)
        } else if turn == KILLS_PER_JOB - 1 || kill == kills() - 1 {
            ("merging", 10)
        } else {
            ("running", 1_500)
        };
        let end = Instant::now() + LONG;
        while Instant::now() < end {
            match self.state().await {
                Some(state) if state == wanted => {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..within_ms))).await;
                    if self.state().await.is_some_and(|state| state == wanted) {
                        self.met.push(state);
                        return Ok(());
                    }
                }
                Some(state) if state == "completed" => self.submit().await?,
                Some(_) | None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
        anyhow::bail!("the job is {:?} and never {wanted}\n{}", self.state().await, self.rig.logs())
    }

    async fn submit(&mut self) -> anyhow::Result<()> {
        let job = self.rig.submit(&self.input, &format!("out-{}.csv", self.jobs.len())).await?;
        self.jobs.push(job);
        Ok(())
    }

    async fn state(&self) -> Option<String> {
        select(&self.rig, "SELECT state FROM jobs ORDER BY job_id DESC LIMIT 1").await
    }

    /// Proves that nothing is wrong, and that at most `bound` calls were made again.
    async fn finish(self, what: &str, bound: u64) -> anyhow::Result<()> {
        let started = Instant::now();
        let cost = finish(&self.rig, &self.jobs, rows()).await?;
        let (kills, repeated) = (self.met.len(), cost.repeated());
        eprintln!(
            "{kills} kills of {what}, met {:?}: {cost:?}, {repeated} repeated, {:?} after the last",
            self.met,
            started.elapsed()
        );
        if kills >= FULL_COUNT {
            for state in ["planning", "running", "merging"] {
                assert!(self.met.iter().any(|met| met == state), "no kill met a job while {state}");
            }
        }
        assert!(repeated <= bound, "{repeated} calls were repeated by {kills} kills of {what}, and {bound} may be");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_survive_kills_of_their_workers() -> anyhow::Result<()> {
    let mut victims = Victims::start(None).await?;
    for kill in 0..kills() {
        victims.moment(kill).await?;
        let worker = &mut victims.rig.workers[kill % WORKERS];
        worker.kill9()?;
        worker.restart()?;
    }
    // For each kill, what was sent and not yet committed.
    victims.finish("a worker", kills() as u64 * 2 * PERMITS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_survive_kills_of_the_api() -> anyhow::Result<()> {
    let mut victims = Victims::start(None).await?;
    for kill in 0..kills() {
        victims.moment(kill).await?;
        victims.rig.api.kill9()?;
        victims.rig.api.restart()?;
    }
    victims.finish("the API", 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_survive_kills_of_postgres() -> anyhow::Result<()> {
    let mut postgres = OwnPostgres::start().await?;
    let mut victims = Victims::start(Some(postgres.url())).await?;
    for kill in 0..kills() {
        victims.moment(kill).await?;
        postgres.kill9()?;
        postgres.restart()?;
    }
    // Every worker keeps its results until they are stored, but may lose its leases meanwhile.
    victims.finish("Postgres", (kills() * WORKERS) as u64 * 2 * PERMITS).await
}
