//! A whole service of separate processes: API, workers, sandbox, and a database of its own.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use client::api::{Client, Job, NewGrant, NewKey, Submission, TenantChange};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Process, TestDb};

/// What differs between tests.
#[derive(Debug, Clone)]
pub struct RigOptions {
    pub workers: usize,
    pub sandbox_latency_ms: u64,
    /// Pads the sandbox's answers.
    pub sandbox_answer_bytes: Option<usize>,
    /// Whether the sandbox keeps its oracle log.
    pub sandbox_log: bool,
    /// Further settings, by their environment names.
    pub settings: Vec<(String, String)>,
    /// The provider's real-time limits.
    pub realtime: Value,
    /// A database of the caller's in place of a shared one.
    pub database_url: Option<String>,
}

impl Default for RigOptions {
    fn default() -> Self {
        Self {
            workers: 1,
            sandbox_latency_ms: 0,
            sandbox_answer_bytes: None,
            sandbox_log: true,
            settings: Vec::new(),
            realtime: json!({"max_concurrency": 32, "timeout_s": 5}),
            database_url: None,
        }
    }
}

/// Running processes. Dropped, all of them are killed.
pub struct Rig {
    pub directory: TempDir,
    pub db: Option<TestDb>,
    pub database_url: String,
    pub environment: Vec<(String, String)>,
    pub sandbox: Process,
    /// Without `/v1`.
    pub sandbox_url: String,
    pub api: Process,
    pub workers: Vec<Process>,
    pub url: String,
    pub admin: Client,
    pub client: Client,
    pub api_key: String,
    pub admin_key: String,
    pub tenant_id: String,
}

impl Rig {
    pub async fn start(options: RigOptions) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("gristmill-rig-").tempdir()?;
        let (objects, work) = (directory.path().join("objects"), directory.path().join("work"));
        std::fs::create_dir_all(&objects)?;
        let db = match options.database_url {
            Some(_) => None,
            None => Some(TestDb::new().await?),
        };
        let database_url =
            options.database_url.clone().or_else(|| db.as_ref().map(|db| db.url.clone())).context("a database")?;
        let environment = environment(&database_url, &objects, &work, &options.settings);
        let log = |name: &str| directory.path().join(format!("{name}.log"));

        let sandbox = start_sandbox(directory.path(), &options)?;
        let sandbox_url = sandbox.first_line.clone().context("the sandbox's address")?;

        if db.is_none() {
            let mut migrate = Process::start(&["migrate"], &environment, &log("migrate"), true)?;
            migrate.wait(Duration::from_mins(1))?;
        }
        let admin_key = bootstrap(&environment, &log("bootstrap"))?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let url = format!("http://{listen}");
        let api = Process::start(&["serve", "--listen", &listen], &environment, &log("api"), false)?;
        let admin = Client::new(&url, &admin_key)?;
        wait_until_ready(&url).await.with_context(|| api.log())?;
        let (tenant_id, api_key) = provision(&admin, &objects, &sandbox_url, &options.realtime).await?;
        let client = Client::new(&url, &api_key)?;
        let mut rig = Self {
            directory,
            db,
            database_url,
            environment,
            sandbox,
            sandbox_url,
            api,
            workers: Vec::new(),
            url,
            admin,
            client,
            api_key,
            admin_key,
            tenant_id,
        };
        for _ in 0..options.workers {
            rig.add_worker()?;
        }
        Ok(rig)
    }

    pub fn add_worker(&mut self) -> anyhow::Result<()> {
        let log = self.directory.path().join(format!("worker-{}.log", self.workers.len()));
        self.workers.push(Process::start(&["worker"], &self.environment, &log, false)?);
        Ok(())
    }

    /// Where `file://` URIs may lie.
    pub fn objects(&self) -> PathBuf {
        self.directory.path().join("objects")
    }

    pub fn uri(&self, name: &str) -> String {
        format!("file://{}", self.objects().join(name).display())
    }

    pub fn oracle(&self) -> PathBuf {
        self.directory.path().join("oracle.jsonl")
    }

    /// A CSV of `rows` rows with the columns `id` and `text`.
    pub fn write_rows(&self, name: &str, rows: impl Iterator<Item = String>) -> anyhow::Result<String> {
        let mut text = String::from("id,text\n");
        for (id, row) in rows.enumerate() {
            writeln!(text, "{id},\"{}\"", row.replace('"', "\"\""))?;
        }
        std::fs::write(self.objects().join(name), text)?;
        Ok(self.uri(name))
    }

    /// Submits a job that echoes its `text` column to `name` in the objects.
    pub async fn submit(&self, input_uri: &str, output: &str) -> anyhow::Result<String> {
        let mut submission = Submission::new(input_uri, "sandbox/echo", "{{ text }}");
        submission.output.uri = Some(self.uri(output));
        Ok(self.client.submit(&submission, None).await?.id.clone())
    }

    /// Waits until the job has ended.
    pub async fn wait(&self, job_id: &str, within: Duration) -> anyhow::Result<Job> {
        self.wait_for(job_id, within, |job| job.status.is_final()).await
    }

    /// Waits until the job is as wanted. The API may be away for a while.
    pub async fn wait_for(&self, job_id: &str, within: Duration, wanted: impl Fn(&Job) -> bool) -> anyhow::Result<Job> {
        let until = Instant::now() + within;
        let mut last = String::from("never seen");
        while Instant::now() < until {
            match self.client.job(job_id, None).await {
                Ok(job) if wanted(&job) => return Ok(job.value),
                Ok(job) => last = job.json.to_string(),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("job {job_id} is not as wanted within {within:?}: {last}\n{}", self.logs())
    }

    /// `gristmill check`: its words, and whether it is clean.
    pub fn check(&self, job_id: &str) -> anyhow::Result<(bool, String)> {
        let output = crate::process::command()?
            .args(["check", job_id])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()?;
        let words = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), words))
    }

    /// The last lines of every process.
    pub fn logs(&self) -> String {
        let tail = |process: &Process| process.log().lines().rev().take(15).map(str::to_owned).collect::<Vec<_>>();
        let mut all = vec![format!("API: {:#?}", tail(&self.api))];
        all.extend(self.workers.iter().map(|worker| format!("worker: {:#?}", tail(worker))));
        all.join("\n")
    }
}

fn start_sandbox(directory: &Path, options: &RigOptions) -> anyhow::Result<Process> {
    let mut arguments = vec!["sandbox".to_owned(), "--latency-ms".to_owned(), options.sandbox_latency_ms.to_string()];
    if let Some(bytes) = options.sandbox_answer_bytes {
        arguments.extend(["--answer-bytes".to_owned(), bytes.to_string()]);
    }
    if options.sandbox_log {
        arguments.extend(["--log".to_owned(), directory.join("oracle.jsonl").display().to_string()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Process::start(&arguments, &[], &directory.join("sandbox.log"), true)
}

fn environment(
    database_url: &str,
    objects: &Path,
    work: &Path,
    settings: &[(String, String)],
) -> Vec<(String, String)> {
    let mut environment: Vec<(String, String)> = [
        ("GRISTMILL_DATABASE_URL", database_url),
        ("GRISTMILL_DATABASE__REQUIRE_DURABLE", "false"),
        ("GRISTMILL_DATABASE__MAX_CONNECTIONS", "10"),
        ("GRISTMILL_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("GRISTMILL_WORK_URI", &format!("file://{}", work.display())),
        ("GRISTMILL_STORAGE__FILE_ROOT", &objects.display().to_string()),
        ("GRISTMILL_EGRESS__ALLOW_PRIVATE", "true"),
        ("GRISTMILL_WORKER__LEASE_S", "2"),
        ("GRISTMILL_WORKER__POLL_MS", "100"),
        ("GRISTMILL_WORKER__PROBE_S", "0.5"),
        ("GRISTMILL_WORKER__BACKOFF_BASE_MS", "50"),
        ("GRISTMILL_WORKER__BACKOFF_CAP_MS", "500"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    environment.extend_from_slice(settings);
    environment
}

fn bootstrap(environment: &[(String, String)], log: &Path) -> anyhow::Result<String> {
    let process = Process::start(&["admin", "bootstrap"], environment, log, true)?;
    process.first_line.clone().context("a key")
}

/// A port that nobody has at this moment.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

async fn wait_until_ready(url: &str) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    let client = Client::new(url, "none")?;
    while Instant::now() < until {
        if client.ready().await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the API is not ready")
}

async fn provision(
    admin: &Client,
    objects: &Path,
    sandbox_url: &str,
    realtime: &Value,
) -> anyhow::Result<(String, String)> {
    let tenant =
        admin.create_tenant(&TenantChange { name: Some("test".to_owned()), ..TenantChange::default() }).await?;
    let scopes = vec!["jobs:read".to_owned(), "jobs:write".to_owned()];
    let key = admin.create_key(&tenant.id, &NewKey { name: "test".to_owned(), scopes, expires_at: None }).await?;
    let uri_prefix = format!("file://{}/", objects.display());
    let grant = NewGrant { uri_prefix, access: "read_write".to_owned(), credential: None };
    admin.create_grant(&tenant.id, &grant).await?;
    admin.put_credential("sandbox", &json!("secret")).await?;
    let provider = json!({
        "driver": "openai-compatible", "base_url": format!("{sandbox_url}/v1"), "credential": "sandbox", "realtime": realtime,
        "batch": null,
    });
    admin.put_provider("sandbox", &provider).await?;
    let model = json!({
        "upstream_model": "echo", "tasks": ["chat"],
        "prices": {"input_per_mtok_usd": "1.00", "output_per_mtok_usd": "2.00"},
    });
    admin.put_model("sandbox", "echo", &model).await?;
    Ok((tenant.id.clone(), key.key.clone().context("a key")?))
}
