//! What all tests with faults do: run jobs, look at them past the API, and prove at the end that nothing is wrong.

use std::time::{Duration, Instant};

use anyhow::bail;
use client::api::Job;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tests::Rig;

/// An outer limit against hanging.
pub const LONG: Duration = Duration::from_mins(5);

/// Calls that a worker of [`Rig`] has in flight at most.
pub const PERMITS: u64 = 32;

/// The first column of a query's only row, read as the superuser. `None` while the database is away.
pub async fn select<T>(rig: &Rig, query: &str) -> Option<T>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    let mut connection = PgConnection::connect(&rig.database_url).await.ok()?;
    let value = sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&mut connection).await.ok();
    let _ = connection.close().await;
    value
}

/// Waits until a query counts at least one.
pub async fn until(rig: &Rig, count: &str) -> anyhow::Result<()> {
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        if select::<i64>(rig, &format!("SELECT count(*) FROM {count}")).await.is_some_and(|count| count > 0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    bail!("nothing in {count}\n{}", rig.logs())
}

/// Waits until no job is in hand any more. The job of a killed worker's last dispatch may end before that dispatch's lease does.
async fn until_nothing_is_left(rig: &Rig) -> anyhow::Result<()> {
    let left =
        "(SELECT count(*) FROM outcomes) + (SELECT count(*) FROM dispatches) + (SELECT count(*) FROM dispatch_rows)
        + (SELECT count(*) FROM job_steps) + (SELECT count(*) FROM attempts WHERE NOT late)
        + (SELECT count(*) FROM chunks WHERE bit_count(in_flight) > 0 OR has_open OR sealed_at IS NULL)";
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        if select::<i64>(rig, &format!("SELECT {left}")).await == Some(0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("work is left in the database\n{}", rig.logs())
}

/// What a disturbance cost.
#[derive(Debug)]
pub struct Cost {
    pub rows: u64,
    /// Requests that the sandbox saw.
    pub requests: u64,
    /// Answers that came when their row had its outcome.
    pub late: u64,
    /// Prompt tokens that the sandbox charged for.
    pub billed: u64,
    /// Prompt tokens that the jobs' accounts know of.
    pub booked: u64,
}

impl Cost {
    pub fn repeated(&self) -> u64 {
        self.requests - self.rows
    }
}

/// Waits for all jobs of `rows` rows each, and proves that every row has one outcome, that outputs are whole and alike, and that
/// nothing is left.
pub async fn finish(rig: &Rig, jobs: &[String], rows: u64) -> anyhow::Result<Cost> {
    let mut ended: Vec<Job> = Vec::new();
    for job_id in jobs {
        let job = rig.wait(job_id, LONG).await?;
        assert_eq!(job.status.name(), "completed", "{:?}\n{}", job.error, rig.logs());
        assert_eq!((job.counts.total, job.counts.succeeded), (Some(rows), rows));
        let (clean, words) = rig.check(job_id)?;
        assert!(clean, "{words}");
        ended.push(job);
    }
    let first = &ended[0].output;
    assert!(first.sha256.is_some());
    assert!(ended.iter().all(|job| job.output.sha256 == first.sha256), "the same rows make the same bytes: {ended:#?}");
    until_nothing_is_left(rig).await?;
    let late = select::<i64>(rig, "SELECT count(*) FROM attempts WHERE late").await.unwrap_or_default();
    let totals = sandbox::Totals::of(rig.oracle())?;
    let mut booked = 0;
    for job_id in jobs {
        booked += rig.client.job(job_id, None).await?.usage.input_tokens;
    }
    let cost = Cost {
        rows: rows * jobs.len() as u64,
        requests: totals.requests,
        late: u64::try_from(late)?,
        billed: totals.billed_prompt_tokens,
        booked,
    };
    assert!(cost.booked <= cost.billed, "{cost:?}");
    Ok(cost)
}

/// Rows of a job's input; short, and each its own.
pub fn write_rows(rig: &Rig, rows: u64) -> anyhow::Result<String> {
    rig.write_rows("in.csv", (0..rows).map(|row| format!("row {row}")))
}
