//! A tenant with jobs in a database of its own, and short ways to do what a worker does.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use db::Database;
use db::chunks::NewChunk;
use db::dispatches::DispatchLease;
use db::jobs::NewJob;
use db::outcomes::{Attempt, Committed, RowOutcome};
use db::seal::{Finished, Sealed};
use db::steps::StepLease;
use domain::format::{Format, InputFormat};
use domain::ids::{JobId, TenantId, WorkerId};
use domain::job::spec::{InputSpec, OutputSpec};
use domain::job::{Event, Spec, State};
use domain::money::Money;
use domain::outcome::{ItemError, Outcome, Status, Usage};
use domain::prompt::PromptSpec;
use domain::provider::ModelName;
use domain::route::Route;
use domain::row_set::RowSet;
use domain::step::Kind;
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tests::TestDb;
use uuid::Uuid;

/// Longer than any test: a lease ends when a test says so.
pub const LEASE: Duration = Duration::from_mins(10);

pub const USAGE: Usage = Usage { input_tokens: 10, cached_input_tokens: 4, output_tokens: 5 };
pub const COST: Money = Money(1_000);

pub struct Fixture {
    pub test_db: TestDb,
    pub db: Database,
    pub tenant_id: TenantId,
}

impl Fixture {
    pub async fn new() -> anyhow::Result<Self> {
        let test_db = TestDb::new().await?;
        let db = test_db.open()?;
        let fixture = Self { test_db, db, tenant_id: TenantId(Uuid::now_v7()) };
        fixture.add_tenant(fixture.tenant_id).await?;
        Ok(fixture)
    }

    pub async fn add_tenant(&self, tenant_id: TenantId) -> anyhow::Result<()> {
        let mut tx = self.db.tenant(tenant_id).await?;
        db::tenants::insert(&mut tx, &tenant_id.to_string(), 1, &json!({})).await?;
        Ok(tx.commit().await?)
    }

    /// A queued job.
    pub async fn submit(&self) -> anyhow::Result<JobId> {
        let job_id = JobId(Uuid::now_v7());
        let spec = spec();
        let input = json!({});
        let model = ModelName { provider: "sandbox".to_owned(), model: "echo".to_owned() };
        let deadline = tomorrow();
        let job = NewJob { job_id, spec: &spec, model: &model, input: &input, deadline, idempotency: None };
        let mut tx = self.db.tenant(self.tenant_id).await?;
        db::jobs::insert(&mut tx, &job).await?;
        tx.commit().await?;
        Ok(job_id)
    }

    /// A job being planned, and its plan step.
    pub async fn planning(&self) -> anyhow::Result<(JobId, StepLease)> {
        let job_id = self.submit().await?;
        let lease = self.claim_step(job_id).await?;
        let mut tx = self.db.tenant(self.tenant_id).await?;
        db::chunks::begin_plan(&mut tx, &lease).await?;
        tx.commit().await?;
        Ok((job_id, lease))
    }

    /// A running job with chunks of these many rows.
    pub async fn running(&self, chunks: &[u32]) -> anyhow::Result<JobId> {
        let (job_id, lease) = self.planning().await?;
        let mut tx = self.db.tenant(self.tenant_id).await?;
        let mut first_row = 0;
        for (chunk_no, row_count) in (0..).zip(chunks) {
            let chunk = new_chunk(chunk_no, first_row, *row_count);
            db::chunks::add(&mut tx, &lease, &chunk, &json!(chunk_no)).await?;
            first_row += u64::from(*row_count);
        }
        db::chunks::end_plan(&mut tx, &lease, first_row, u32::try_from(chunks.len())?, None).await?;
        tx.commit().await?;
        Ok(job_id)
    }

    /// Claims the job's next step for a new worker. Other jobs' steps that are free go the same way.
    pub async fn claim_step(&self, job_id: JobId) -> anyhow::Result<StepLease> {
        self.claim_steps()
            .await?
            .into_iter()
            .find(|lease| lease.job_id == job_id)
            .ok_or_else(|| anyhow::anyhow!("no step"))
    }

    pub async fn claim_steps(&self) -> anyhow::Result<Vec<StepLease>> {
        let mut tx = self.db.scheduler().await?;
        let leases = db::steps::claim(&mut tx, new_worker(), LEASE, 1_000).await?;
        tx.commit().await?;
        Ok(leases)
    }

    /// Forms a dispatch of up to `rows` rows.
    pub async fn form(&self, rows: usize) -> anyhow::Result<DispatchLease> {
        self.try_form(rows).await?.ok_or_else(|| anyhow::anyhow!("no open rows"))
    }

    pub async fn try_form(&self, rows: usize) -> anyhow::Result<Option<DispatchLease>> {
        let mut tx = self.db.scheduler().await?;
        let Some(job) = db::dispatches::candidate(&mut tx, &[], false, &[]).await? else { return Ok(None) };
        let lease = db::dispatches::form_realtime(&mut tx, &job, new_worker(), LEASE, rows, false).await?;
        tx.commit().await?;
        Ok(lease)
    }

    /// Another worker takes over what is leased, as if the lease had run out.
    pub async fn take_over(&self, lease: &DispatchLease) -> anyhow::Result<DispatchLease> {
        self.execute(&format!("UPDATE dispatches SET run_at = now() WHERE dispatch_id = '{}'", lease.dispatch_id.0))
            .await?;
        let mut tx = self.db.scheduler().await?;
        let taken = db::dispatches::claim(&mut tx, new_worker(), LEASE, Route::Realtime, 1).await?.pop();
        tx.commit().await?;
        taken.ok_or_else(|| anyhow::anyhow!("nothing was taken over"))
    }

    /// The same for a step.
    pub async fn take_over_step(&self, lease: &StepLease) -> anyhow::Result<StepLease> {
        self.execute(&format!("UPDATE job_steps SET run_at = now() WHERE step_id = '{}'", lease.step_id.0)).await?;
        self.claim_step(lease.job_id).await
    }

    pub async fn commit(
        &self,
        lease: &DispatchLease,
        chunk_no: u32,
        outcomes: &[RowOutcome],
        attempts: &[Attempt],
    ) -> anyhow::Result<Committed> {
        self.commit_again(lease, chunk_no, outcomes, attempts, false).await
    }

    pub async fn commit_again(
        &self,
        lease: &DispatchLease,
        chunk_no: u32,
        outcomes: &[RowOutcome],
        attempts: &[Attempt],
        repeated: bool,
    ) -> anyhow::Result<Committed> {
        let mut tx = self.db.tenant(lease.tenant_id).await?;
        let committed = db::outcomes::commit(&mut tx, lease, chunk_no, outcomes, attempts, repeated).await?;
        tx.commit().await?;
        Ok(committed)
    }

    pub async fn settle(&self, lease: &DispatchLease) -> anyhow::Result<bool> {
        let mut tx = self.db.tenant(lease.tenant_id).await?;
        let settled = db::dispatches::settle(&mut tx, lease).await?;
        tx.commit().await?;
        Ok(settled)
    }

    /// Sends a whole chunk's rows, from `first_row` on, through one dispatch.
    pub async fn succeed(&self, chunk_no: u32, first_row: u64, rows: u64) -> anyhow::Result<DispatchLease> {
        let lease = self.form(usize::try_from(rows)?).await?;
        let outcomes: Vec<_> = (first_row..first_row + rows).map(|row| success(row, "first")).collect();
        assert_eq!(self.commit(&lease, chunk_no, &outcomes, &[]).await?.stored, outcomes.len());
        Ok(lease)
    }

    /// Seals a chunk as read under `closed`, whose rows all ended with `status`.
    pub async fn seal(
        &self,
        lease: &StepLease,
        first_row: u64,
        closed: &RowSet,
        status: Status,
    ) -> anyhow::Result<Finished> {
        let mut tx = self.db.tenant(self.tenant_id).await?;
        let finished = finish_seal(&mut tx, lease, first_row, closed, status).await?;
        tx.commit().await?;
        Ok(finished)
    }

    pub async fn finish_job(&self, lease: &StepLease) -> anyhow::Result<State> {
        let mut tx = self.db.tenant(self.tenant_id).await?;
        let state = db::seal::finish_job(&mut tx, lease, &json!({"bytes": 1})).await?;
        tx.commit().await?;
        Ok(state)
    }

    pub async fn transition(&self, job_id: JobId, event: Event) -> db::Result<Option<State>> {
        let mut tx = self.db.tenant(self.tenant_id).await?;
        let state = db::jobs::transition(&mut tx, job_id, event).await?;
        tx.commit().await?;
        Ok(state)
    }

    pub async fn job(&self, job_id: JobId) -> anyhow::Result<db::jobs::Job> {
        let mut tx = self.db.tenant(self.tenant_id).await?;
        db::jobs::get(&mut tx, job_id).await?.ok_or_else(|| anyhow::anyhow!("no job"))
    }

    /// Runs a statement as the superuser.
    pub async fn execute(&self, statement: &str) -> anyhow::Result<u64> {
        let mut superuser = self.test_db.superuser().await?;
        let done = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut superuser).await?;
        superuser.close().await?;
        Ok(done.rows_affected())
    }

    /// The first column of a query's rows, read as the superuser.
    pub async fn select<T>(&self, query: &str) -> anyhow::Result<Vec<T>>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let mut superuser = self.test_db.superuser().await?;
        let rows = sqlx::query(AssertSqlSafe(query.to_owned())).fetch_all(&mut superuser).await?;
        superuser.close().await?;
        Ok(rows.iter().map(|row: &PgRow| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    pub async fn count(&self, of: &str) -> anyhow::Result<i64> {
        Ok(self.select::<i64>(&format!("SELECT count(*) FROM {of}")).await?[0])
    }

    /// All rows of all tables that work changes, as text: what a void write must leave as it is.
    pub async fn everything(&self) -> anyhow::Result<BTreeMap<&'static str, Vec<String>>> {
        let mut all = BTreeMap::new();
        for table in [
            "jobs",
            "job_steps",
            "chunks",
            "dispatches",
            "dispatch_rows",
            "outcomes",
            "attempts",
            "chunk_summaries",
            "events",
        ] {
            all.insert(table, self.select(&format!("SELECT t::text FROM {table} t ORDER BY 1")).await?);
        }
        Ok(all)
    }

    /// A connection in one of the two roles, in a transaction.
    pub async fn role(&self, role: &str, tenant_id: Option<TenantId>) -> anyhow::Result<PgConnection> {
        let mut connection = self.test_db.superuser().await?;
        let tenant = tenant_id.map(|id| format!("; SET LOCAL gristmill.tenant = '{}'", id.0)).unwrap_or_default();
        sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; SET LOCAL ROLE {role}{tenant}"))).execute(&mut connection).await?;
        Ok(connection)
    }
}

pub async fn finish_seal(
    tx: &mut db::TenantTx,
    lease: &StepLease,
    first_row: u64,
    closed: &RowSet,
    status: Status,
) -> db::Result<Finished> {
    let Kind::Seal { chunk_no } = lease.kind else { panic!("{lease:?} is no seal step") };
    let code = (status != Status::Succeeded).then_some("code");
    let rows = vec![(status, code); closed.length()];
    let sealed = Sealed {
        chunk_no,
        first_row,
        generation: 0,
        closed,
        rows: &rows,
        results_path: "results",
        attempts_path: None,
        part_path: "part",
        unfinished: <_>::default(),
    };
    db::seal::finish(tx, lease, &sealed).await
}

#[expect(clippy::disallowed_methods, reason = "the database compares deadlines with its own clock")]
pub fn tomorrow() -> DateTime<Utc> {
    Utc::now() + TimeDelta::days(1)
}

pub fn new_worker() -> WorkerId {
    WorkerId(Uuid::now_v7())
}

pub fn new_chunk(chunk_no: u32, first_row: u64, row_count: u32) -> NewChunk<'static> {
    NewChunk { chunk_no, first_row, row_count, bytes: 1, tokens: 1, input_path: "input", unsendable: &[] }
}

pub fn success(row: u64, response: &str) -> RowOutcome {
    let outcome = Outcome {
        status: Status::Succeeded,
        response: Some(response.to_owned()),
        error: None,
        model: Some("sandbox/echo".to_owned()),
        finish_reason: Some("stop".to_owned()),
        usage: USAGE,
        cost: Some(COST),
        attempts: 1,
    };
    RowOutcome { row, outcome, last_usage: USAGE, last_cost: Some(COST) }
}

pub fn failure(row: u64) -> RowOutcome {
    let error = Some(ItemError::new("broken", "it broke"));
    let outcome = Outcome { status: Status::Failed, response: None, error, ..success(row, "").outcome };
    RowOutcome { row, outcome, last_usage: Usage::default(), last_cost: Some(Money::ZERO) }
}

pub fn attempt(row: u64, attempt: u32) -> Attempt {
    Attempt {
        row,
        attempt,
        counted: true,
        error: ItemError::new("timeout", "no answer"),
        http_status: None,
        request_id: None,
        usage: Usage::default(),
        cost: Some(Money::ZERO),
        retry_after: Duration::ZERO,
    }
}

pub fn spec() -> Spec {
    Spec {
        name: None,
        input: InputSpec { uri: "file:///in.csv".to_owned(), format: InputFormat::Csv, delimiter: None },
        output: OutputSpec {
            uri: None,
            format: Format::Csv,
            column_prefix: "llm_".to_owned(),
            if_exists: domain::job::spec::IfExists::Error,
        },
        model: "sandbox/echo".to_owned(),
        prompt: PromptSpec { prompt: Some("{{ text }}".to_owned()), ..PromptSpec::default() },
        params: domain::job::spec::Params::default(),
        limits: domain::job::spec::Limits::default(),
        metadata: BTreeMap::new(),
    }
}
