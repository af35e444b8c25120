//! Processor time and memory of processes, from `/proc`.

use std::fs;

use anyhow::Context as _;

/// Kernel ticks a second; Linux has shown 100 to programs on every platform for decades.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of processor time that a process and its ended children have used.
pub fn cpu_seconds(pid: i32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    // The name, in brackets, may hold anything; fields are counted from behind it: user, system, and the same of children.
    let fields: Vec<&str> = stat.rsplit_once(')').context("a stat line")?.1.split_whitespace().collect();
    let ticks: u64 = fields[11..15].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 ticks")]
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// The same, with all living descendants.
pub fn cpu_seconds_of_tree(pid: i32) -> anyhow::Result<f64> {
    let mut sum = cpu_seconds(pid)?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
        // It may have ended meanwhile; its parent has its time then.
        sum += cpu_seconds_of_tree(child).unwrap_or_default();
    }
    Ok(sum)
}

/// Highest resident memory so far, in MB.
pub fn peak_memory_mb(pid: i32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("VmHWM")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kilobytes / 1024)
}
