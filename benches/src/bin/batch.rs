//! A job on the batch route beside the bare file loop, in the same run: the route's own work is plan, encode, reconcile and merge.
//!
//! `cargo run --release -p benches --bin batch -- --rows 1000000`

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use benches::{bare_file_loop, processes};
use clap::Parser;
use client::api::Submission;
use private_postgres::{Options, PrivatePostgres};
use serde_json::json;
use tests::{Rig, RigOptions};

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    #[arg(long, default_value_t = 1_000)]
    answer_bytes: usize,
    /// The bare loop's own process, in this directory: prints its processor seconds and bytes
    #[arg(long, hide = true)]
    bare_loop: Option<std::path::PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(directory) = &arguments.bare_loop {
        return run_bare_loop(directory);
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(&arguments))
}

fn run_bare_loop(directory: &Path) -> anyhow::Result<()> {
    let file = |name: &str| directory.join(name);
    let csv = file("in.csv");
    let bytes = bare_file_loop::run(&csv, &file("requests.jsonl"), &file("results.jsonl"), &file("bare.parquet"))?;
    print(&format!("{} {bytes}", processes::cpu_seconds(i32::try_from(std::process::id())?)?));
    Ok(())
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let directory = tempfile::Builder::new().prefix("gristmill-bench-").tempdir()?;
    open_to_all(directory.path())?;
    let mut postgres = PrivatePostgres::start(Options::new(directory.path().join("pg")))?;
    let rig = start(arguments, postgres.url("postgres")).await?;
    let input = rig.write_rows("in.csv", (0..arguments.rows).map(|row| format!("row {row}")))?;
    let sandbox_before = processes::cpu_seconds(rig.sandbox.pid().as_raw())?;
    let before = processes::cpu_seconds_of_tree(postgres.pid())?;
    let start = Instant::now();
    let mut submission = Submission::new(&input, "sandbox/echo", "{{ text }}");
    submission.output.uri = Some(rig.uri("out.parquet"));
    let job_id = rig.client.submit(&submission, None).await?.id.clone();
    let job = rig.wait(&job_id, Duration::from_hours(1)).await?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(job.counts.succeeded == arguments.rows as u64, "not every row succeeded: {job:?}");

    let rows = f64::from(u32::try_from(arguments.rows)?);
    let (api, worker) = (rig.api.pid().as_raw(), rig.workers[0].pid().as_raw());
    let parts = [
        (
            "postgres",
            processes::cpu_seconds_of_tree(postgres.pid())? - before,
            processes::peak_memory_mb(postgres.pid())?,
        ),
        ("api", processes::cpu_seconds(api)?, processes::peak_memory_mb(api)?),
        ("worker", processes::cpu_seconds(worker)?, processes::peak_memory_mb(worker)?),
    ];
    let cpu: f64 = parts.iter().map(|(_, cpu, _)| cpu).sum();
    print(&format!("gristmill   {:>9.0} rows/s  {seconds:.1} s", rows / seconds));
    for (name, cpu, peak) in parts {
        print(&format!("  {name:<9} {:>9.4} ms CPU/row  {peak} MB peak (goal: 400)", cpu * 1_000.0 / rows));
    }
    print(&format!("  all       {:>9.4} ms CPU/row  {:.0} rows/s per core", cpu * 1_000.0 / rows, rows / cpu));
    let sandbox = rig.sandbox.pid().as_raw();
    let sandbox_cpu = processes::cpu_seconds(sandbox)? - sandbox_before;
    print(&format!(
        "  sandbox   {:>9.4} ms CPU/row  {} MB peak, apart",
        sandbox_cpu * 1_000.0 / rows,
        processes::peak_memory_mb(sandbox)?
    ));
    let (bare_cpu, bytes) = bare(&rig, arguments)?;
    print(&format!(
        "bare loop   {:>9.4} ms CPU/row  {:.0} rows/s per core",
        bare_cpu * 1_000.0 / rows,
        rows / bare_cpu
    ));
    print(&format!(
        "            {:>9.0} MB/s per core, gristmill {:.0} MB/s per core",
        bytes / bare_cpu / 1e6,
        bytes / cpu / 1e6
    ));
    print(&format!("ratio       {:>9.2} of the bare file loop per core (goal: 0.50)", bare_cpu / cpu));
    drop(rig);
    postgres.stop()?;
    Ok(())
}

/// One worker, and a provider whose batches are done at once.
async fn start(arguments: &Arguments, database_url: String) -> anyhow::Result<Rig> {
    let rig = Rig::start(RigOptions {
        sandbox_answer_bytes: Some(arguments.answer_bytes),
        sandbox_log: false,
        database_url: Some(database_url),
        settings: vec![
            ("GRISTMILL_WORKER__LEASE_S".to_owned(), "30".to_owned()),
            ("GRISTMILL_WORKER__POLL_MS".to_owned(), "500".to_owned()),
        ],
        ..RigOptions::default()
    })
    .await?;
    let record = json!({
        "driver": "openai", "base_url": format!("{}/v1", rig.sandbox_url), "credential": "sandbox",
        "realtime": {"max_concurrency": 32, "timeout_s": 60}, "batch": {"min_saving_usd": "0", "poll_interval_s": 1},
    });
    rig.admin.put_provider("sandbox", &record).await?;
    Ok(rig)
}

/// In a process of its own, so that nothing of this one counts. Returns processor seconds and bytes.
fn bare(rig: &Rig, arguments: &Arguments) -> anyhow::Result<(f64, f64)> {
    let objects = rig.objects();
    bare_file_loop::write_results(&objects.join("results.jsonl"), arguments.rows, arguments.answer_bytes)?;
    let output = std::process::Command::new(std::env::current_exe()?).arg("--bare-loop").arg(&objects).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    Ok((numbers.next().unwrap_or(f64::NAN), numbers.next().unwrap_or(f64::NAN)))
}

/// The unprivileged Postgres passes through it.
fn open_to_all(directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o711))?)
}

#[expect(clippy::print_stdout, reason = "figures are what it is for")]
fn print(line: &str) {
    println!("{line}");
}
