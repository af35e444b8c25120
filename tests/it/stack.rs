//! The shipped binary as a user meets it: `quickstart`, `dev`, `serve`, `worker`, and the exit codes.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use client::api::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::process::binary;
use tests::{Process, Rig, RigOptions, TestDb};

const LONG: Duration = Duration::from_mins(1);

/// `gristmill` with these settings and no other.
fn gristmill(arguments: &[&str], environment: &[(String, String)]) -> anyhow::Result<Command> {
    let mut command = Command::new(binary()?);
    for name in ["CONFIG", "DATABASE_URL", "MASTER_KEY", "WORK_URI", "LISTEN", "URL", "API_KEY"] {
        command.env_remove(format!("GRISTMILL_{name}"));
    }
    command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
    Ok(command)
}

/// Exit code and all that was printed.
fn run(arguments: &[&str], environment: &[(String, String)]) -> anyhow::Result<(Option<i32>, String)> {
    let Output { status, stdout, stderr } = gristmill(arguments, environment)?.output()?;
    Ok((status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))))
}

fn expect(code: i32, words: &str, arguments: &[&str], environment: &[(String, String)]) -> anyhow::Result<()> {
    let (found, printed) = run(arguments, environment)?;
    ensure!(
        found == Some(code) && printed.contains(words),
        "{arguments:?}: expected {code} and `{words}`, got {found:?}: {printed}"
    );
    Ok(())
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Settings of a client of the rig.
fn client_of(rig: &Rig) -> Vec<(String, String)> {
    vec![pair("GRISTMILL_URL", &rig.url), pair("GRISTMILL_API_KEY", &rig.api_key)]
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Asks until it is so.
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        if so().await {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("not within {LONG:?}: {what}")
}

#[tokio::test(flavor = "multi_thread")]
async fn quickstart_prints_the_head_of_the_merged_table() -> anyhow::Result<()> {
    let output = gristmill(&["quickstart"], &[])?.output()?;
    let (stdout, stderr) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(stdout.contains(",IMDB Votes,llm_response,llm_status,"), "{stdout}");
    assert!(
        stdout.contains("\nThe Land Girls,146083,") && stdout.contains(",succeeded,,,sandbox/echo,stop,"),
        "{stdout}"
    );
    assert!(stderr.contains("3,201 succeeded"), "{stderr}");
    Ok(())
}

/// A `dev` stack with a short lease, and what its first line says.
fn start_dev(directory: &Path) -> anyhow::Result<(Process, Value)> {
    let (stack, log) = (directory.join("stack"), directory.join("dev.log"));
    let stack = stack.to_str().context("a path")?;
    let environment = [pair("GRISTMILL_WORKER__LEASE_S", "2"), pair("GRISTMILL_WORKER__POLL_MS", "100")];
    let arguments = ["dev", "--dir", stack, "--listen", "127.0.0.1:0", "--json", "--sandbox-latency-ms", "100"];
    let dev = Process::start(&arguments, &environment, &log, true)?;
    let line = serde_json::from_str(dev.first_line.as_deref().context("a line")?)?;
    Ok((dev, line))
}

fn field<'a>(line: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    line[name].as_str().with_context(|| format!("{name} in {line}"))
}

/// The server processes of a stack's private Postgres, found by their working directory.
fn postgres_of(stack: &Path) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    processes
        .filter(|process| std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(stack.join("pg"))))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_survives_kill_9_with_its_keys_and_jobs() -> anyhow::Result<()> {
    let directory = tempfile::Builder::new().prefix("gristmill-dev-").tempdir()?;
    // The private server's own user passes through.
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    let stack = directory.path().join("stack");
    let (mut dev, line) = start_dev(directory.path())?;
    let mut keys: Vec<_> = line.as_object().context("an object")?.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["admin_key", "api_key", "tenant_id", "url", "work_dir"]);

    let input = Path::new(field(&line, "work_dir")?).join("in.csv");
    std::fs::write(&input, format!("text\n{}", "hello\n".repeat(1_000)))?;
    let input = input.to_str().context("a path")?;
    let environment =
        [pair("GRISTMILL_URL", field(&line, "url")?), pair("GRISTMILL_API_KEY", field(&line, "api_key")?)];
    let (code, job_id) = run(&["submit", input, "--model", "sandbox/echo", "--prompt", "{{ text }}"], &environment)?;
    assert_eq!(code, Some(0), "{job_id}");
    let client = Client::new(field(&line, "url")?, field(&line, "api_key")?)?;
    let job_id = job_id.trim();
    until("some rows are done", async || client.job(job_id, None).await.is_ok_and(|job| job.counts.succeeded > 0))
        .await?;

    let (name, port) = (stack.to_str().context("a path")?, field(&line, "url")?.trim_start_matches("http://"));
    expect(1, "in use", &["dev", "--dir", name, "--listen", "127.0.0.1:0"], &[])?;
    expect(
        1,
        "--listen",
        &["dev", "--dir", directory.path().join("other").to_str().context("a path")?, "--listen", port],
        &[],
    )?;
    assert!(!postgres_of(&stack).is_empty());
    dev.kill9()?;
    until("the private Postgres has ended", async || postgres_of(&stack).is_empty()).await?;

    let (mut dev, again) = start_dev(directory.path())?;
    for name in ["api_key", "admin_key", "tenant_id", "work_dir"] {
        assert_eq!(line[name], again[name], "{name}");
    }
    let client = Client::new(field(&again, "url")?, field(&again, "api_key")?)?;
    until("the job has ended", async || client.job(job_id, None).await.is_ok_and(|job| job.status.is_final())).await?;
    let job = client.job(job_id, None).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 1_000), "{}", dev.log());
    assert!(dev.terminate(LONG)?, "{}", dev.log());
    assert!(postgres_of(&stack).is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_how_a_job_ended() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { sandbox_latency_ms: 100, ..RigOptions::default() }).await?;
    let environment = client_of(&rig);
    let submit = |command: &'static str, input: &str, more: &[&'static str]| {
        let model = ["--model", "sandbox/echo", "--prompt", "{{ text }}"];
        [vec![command.to_owned(), input.to_owned()], model.iter().chain(more).map(ToString::to_string).collect()]
            .concat()
    };
    let good = rig.write_rows("good.csv", (0..3).map(|row| format!("row {row}")))?;
    let bad = rig.write_rows("bad.csv", ["fine", "[[sandbox:status code=400]]"].map(str::to_owned).into_iter())?;
    let long = rig.write_rows("long.csv", (0..20_000).map(|row| format!("row {row}")))?;
    let check = |code, words: &str, line: &[String], environment: &[(String, String)]| {
        expect(code, words, &line.iter().map(String::as_str).collect::<Vec<_>>(), environment)
    };
    check(0, "3 succeeded", &submit("run", &good, &[]), &environment)?;
    check(3, "1 failed", &submit("run", &bad, &[]), &environment)?;
    check(1, "Input not found", &submit("run", &rig.uri("missing.csv"), &[]), &environment)?;
    check(2, "--prompt", &["run", &good, "--model", "sandbox/echo"].map(str::to_owned), &environment)?;
    let stranger = [pair("GRISTMILL_URL", &rig.url), pair("GRISTMILL_API_KEY", "gm_no")];
    check(4, "Invalid api key", &submit("run", &good, &[]), &stranger)?;
    check(5, "gristmill watch job_", &submit("run", &long, &["--timeout", "0s"]), &environment)?;

    let job_id = interrupted_run(&submit("run", &long, &[]), &environment)?;
    let job = rig.client.job(&job_id, None).await?;
    assert_eq!(job.status.name(), "running");
    check(0, "", &["cancel", &job_id].map(str::to_owned), &environment)?;
    check(6, "cancelled", &["watch", &job_id].map(str::to_owned), &environment)?;
    Ok(())
}

/// Starts `run`, interrupts it as Ctrl-C does, and returns the id of the job that it left behind.
fn interrupted_run(arguments: &[String], environment: &[(String, String)]) -> anyhow::Result<String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = gristmill(&arguments, environment)?.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(command.stderr.take().context("standard error")?).lines();
    let mut said = Vec::new();
    // Its watch has begun when it has seen a change.
    for line in lines.by_ref() {
        said.push(line?);
        if said.last().is_some_and(|line| line.starts_with("running")) {
            break;
        }
    }
    kill(Pid::from_raw(i32::try_from(command.id())?), Signal::SIGINT)?;
    for line in lines {
        said.push(line?);
    }
    ensure!(command.wait()?.code() == Some(130), "{said:?}");
    let hint = said.last().and_then(|line| line.split_once("gristmill watch ")).context("a hint")?;
    Ok(hint.1.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_says_what_to_set_before_it_starts() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let mut environment = vec![pair("GRISTMILL_DATABASE__REQUIRE_DURABLE", "false")];
    for command in ["serve", "worker", "migrate"] {
        expect(1, "GRISTMILL_DATABASE_URL", &[command], &environment)?;
    }
    environment.push(pair("GRISTMILL_DATABASE_URL", &db.url));
    expect(1, "GRISTMILL_MASTER_KEY", &["serve"], &environment)?;
    environment.push(pair("GRISTMILL_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
    expect(1, "GRISTMILL_WORK_URI", &["serve"], &environment)?;
    environment.push(pair("GRISTMILL_WORK_URI", "file:///tmp"));
    let unreachable = [&environment[..], &[pair("GRISTMILL_DATABASE_URL", "postgres://127.0.0.1:9/none")]].concat();
    expect(1, "the database can't be used", &["serve"], &unreachable)?;
    environment[0].1 = "true".to_owned();
    expect(1, "fsync", &["serve"], &environment)?;
    expect(1, "lease", &["serve"], &[pair("GRISTMILL_WORKER__LEASE", "2")])?;
    db.drop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_machine_needs_one_process_and_sigterm_ends_each_cleanly() -> anyhow::Result<()> {
    let mut rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let health = free_port()?;
    let address = format!("127.0.0.1:{health}");
    let log = rig.directory.path().join("worker.log");
    let mut worker = Process::start(&["worker", "--listen", &address], &rig.environment, &log, false)?;
    for path in ["healthz", "readyz"] {
        let url = format!("http://{address}/{path}");
        until("the worker is well", async || reqwest::get(&url).await.is_ok_and(|answer| answer.status() == 200))
            .await?;
    }
    assert!(worker.terminate(LONG)?, "{}", worker.log());
    assert!(rig.api.terminate(LONG)?, "{}", rig.api.log());

    let listen = rig.url.trim_start_matches("http://").to_owned();
    let log = rig.directory.path().join("both.log");
    rig.api = Process::start(&["serve", "--with-worker", "--listen", &listen], &rig.environment, &log, false)?;
    until("the API is ready", async || rig.client.ready().await.is_ok()).await?;
    let input = rig.write_rows("in.csv", (0..100).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    assert_eq!(rig.wait(&job_id, LONG).await?.counts.succeeded, 100);
    assert!(rig.api.terminate(LONG)?, "{}", rig.api.log());
    Ok(())
}

#[test]
fn the_published_document_is_the_binary_s_own() -> anyhow::Result<()> {
    let printed: Value = serde_json::from_slice(&gristmill(&["openapi"], &[])?.output()?.stdout)?;
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/gristmill.json");
    assert_eq!(printed, serde_json::from_slice::<Value>(&std::fs::read(published)?)?);
    Ok(())
}
