//! A job on the real-time route beside the bare reqwest loop, on the same sandbox, in the same run.
//!
//! `cargo run --release -p benches --bin realtime -- --rows 200000`

use std::time::{Duration, Instant};

use anyhow::ensure;
use benches::{bare_loop, processes};
use clap::Parser;
use private_postgres::{Options, PrivatePostgres};
use tests::{Rig, RigOptions};

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 200_000)]
    rows: usize,
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Calls in flight, of each worker and of the bare loop
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    #[arg(long, default_value_t = 1_000)]
    answer_bytes: usize,
    /// The bare loop's own process: prints its seconds
    #[arg(long, hide = true)]
    bare_loop: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match &arguments.bare_loop {
        Some(url) => runtime.block_on(run_bare_loop(url, &arguments)),
        None => runtime.block_on(run(&arguments)),
    }
}

async fn run_bare_loop(url: &str, arguments: &Arguments) -> anyhow::Result<()> {
    let start = Instant::now();
    bare_loop::run(url, arguments.rows, arguments.concurrency).await?;
    let pid = i32::try_from(std::process::id())?;
    print(&format!("{} {}", start.elapsed().as_secs_f64(), processes::cpu_seconds(pid)?));
    Ok(())
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let directory = tempfile::Builder::new().prefix("gristmill-bench-").tempdir()?;
    open_to_all(directory.path())?;
    let mut postgres = PrivatePostgres::start(Options::new(directory.path().join("pg")))?;
    let mut rig = Rig::start(RigOptions {
        workers: 0,
        sandbox_latency_ms: arguments.latency_ms,
        sandbox_answer_bytes: Some(arguments.answer_bytes),
        sandbox_log: false,
        realtime: serde_json::json!({"max_concurrency": arguments.concurrency, "timeout_s": 60}),
        database_url: Some(postgres.url("postgres")),
        settings: vec![
            ("GRISTMILL_WORKER__LEASE_S".to_owned(), "30".to_owned()),
            ("GRISTMILL_WORKER__POLL_MS".to_owned(), "500".to_owned()),
        ],
    })
    .await?;
    let input = rig.write_rows("in.csv", (0..arguments.rows).map(|row| format!("row {row}")))?;
    for _ in 0..arguments.workers {
        rig.add_worker()?;
    }
    let sandbox = rig.sandbox.pid().as_raw();
    let before = processes::cpu_seconds_of_tree(postgres.pid())?;
    let start = Instant::now();
    let job_id = rig.submit(&input, "out.csv").await?;
    let job = rig.wait(&job_id, Duration::from_hours(1)).await?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(job.counts.succeeded == arguments.rows as u64, "not every row succeeded");

    let rows = f64::from(u32::try_from(arguments.rows)?);
    let mut all = processes::cpu_seconds_of_tree(postgres.pid())? - before;
    print(&format!("gristmill   {:>9.0} rows/s  {seconds:.1} s", rows / seconds));
    print(&format!(
        "  postgres  {:>9.4} ms CPU/row  {} MB peak of its largest process",
        all * 1_000.0 / rows,
        largest_peak_memory_mb(postgres.pid())?
    ));
    for (name, process) in std::iter::once(("api", &rig.api)).chain(rig.workers.iter().map(|worker| ("worker", worker)))
    {
        let pid = process.pid().as_raw();
        let cpu = processes::cpu_seconds(pid)?;
        all += cpu;
        print(&format!(
            "  {name:<9} {:>9.4} ms CPU/row  {} MB peak",
            cpu * 1_000.0 / rows,
            processes::peak_memory_mb(pid)?
        ));
    }
    print(&format!("  all       {:>9.4} ms CPU/row  (goal: 0.15, then 0.10)", all * 1_000.0 / rows));
    let sandbox_cpu = processes::cpu_seconds(sandbox)?;
    print(&format!(
        "  sandbox   {:>9.4} ms CPU/row  {} MB peak, apart",
        sandbox_cpu * 1_000.0 / rows,
        processes::peak_memory_mb(sandbox)?
    ));

    let (bare_seconds, bare_cpu) = bare(&rig, arguments)?;
    print(&format!("bare loop   {:>9.0} rows/s  {bare_seconds:.1} s", rows / bare_seconds));
    print(&format!("  itself    {:>9.4} ms CPU/row", bare_cpu * 1_000.0 / rows));
    print(&format!("ratio       {:>9.2} of the bare loop's rows/s (goal: 0.50)", bare_seconds / seconds));
    drop(rig);
    postgres.stop()?;
    Ok(())
}

/// Of a process and its living children, in MB. Pages that they share count for each that has touched them.
fn largest_peak_memory_mb(pid: i32) -> anyhow::Result<u64> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    // A child may have ended meanwhile.
    let of_children = children.filter_map(|child| processes::peak_memory_mb(child).ok()).max();
    Ok(processes::peak_memory_mb(pid)?.max(of_children.unwrap_or_default()))
}

/// In a process of its own, so that nothing of this one counts. Returns seconds and processor seconds.
fn bare(rig: &Rig, arguments: &Arguments) -> anyhow::Result<(f64, f64)> {
    let output = std::process::Command::new(std::env::current_exe()?)
        .args(["--rows", &arguments.rows.to_string(), "--concurrency", &arguments.concurrency.to_string()])
        .args(["--bare-loop", &format!("{}/v1", rig.sandbox_url)])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    Ok((numbers.next().unwrap_or(f64::NAN), numbers.next().unwrap_or(f64::NAN)))
}

/// The unprivileged Postgres passes through it.
fn open_to_all(directory: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o711))?)
}

#[expect(clippy::print_stdout, reason = "figures are what it is for")]
fn print(line: &str) {
    println!("{line}");
}
