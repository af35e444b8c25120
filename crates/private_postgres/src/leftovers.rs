//! Processes and files of a server whose owner has died.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::layout::Layout;
use crate::{Error, poll};

/// How long a fast shutdown may take: it writes a checkpoint.
const FAST_SHUTDOWN: Duration = Duration::from_secs(15);

/// How long killed processes may take to disappear.
const KILLED: Duration = Duration::from_secs(5);

/// Ends what still runs in the cluster and removes the lock files that would keep a new server from starting.
///
/// To be called by the cluster's owner only.
pub(crate) fn clear(layout: &Layout) -> Result<(), Error> {
    if let Some(postmaster) = recorded(&layout.data).filter(|pid| serves(*pid, &layout.data)) {
        // A second SIGINT does no harm to a server that already shuts down.
        let _ = kill(postmaster, Signal::SIGINT);
    }
    if poll::until(FAST_SHUTDOWN, || processes(&layout.data).is_empty().then_some(())).is_none() {
        kill_all(layout)?;
    }
    // A process id in these files may by now be that of a stranger, which the server would take for its predecessor.
    remove_file(&layout.data.join("postmaster.pid"))?;
    for entry in fs::read_dir(&layout.socket).map_err(Error::file("read directory", &layout.socket))?.flatten() {
        remove_file(&entry.path())?;
    }
    Ok(())
}

/// Kills every process of the cluster at once, as a crash would.
pub(crate) fn kill_all(layout: &Layout) -> Result<(), Error> {
    let mut left = Vec::new();
    let gone = poll::until(KILLED, || {
        left = processes(&layout.data);
        for pid in &left {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        left.is_empty().then_some(())
    });
    match (gone, left.first()) {
        (None, Some(pid)) => Err(Error::StillRunning { directory: layout.root.clone(), pid: pid.as_raw() }),
        _ => Ok(()),
    }
}

/// The process id in the cluster's lock file.
fn recorded(data: &Path) -> Option<Pid> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok().map(Pid::from_raw).filter(|pid| pid.as_raw() > 1)
}

/// The cluster's processes, the server itself first where it lives. All work in the data directory.
#[cfg(target_os = "linux")]
fn processes(data: &Path) -> Vec<Pid> {
    let recorded = recorded(data);
    let mut found: Vec<Pid> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
        .filter(|pid| serves(*pid, data))
        .collect();
    found.sort_by_key(|pid| Some(*pid) != recorded);
    found
}

#[cfg(target_os = "linux")]
fn serves(pid: Pid, data: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|directory| directory == data)
        && fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("postgres"))
}

/// Without `/proc` only the server itself is known; its other processes end when they notice that it is gone.
#[cfg(not(target_os = "linux"))]
fn processes(data: &Path) -> Vec<Pid> {
    recorded(data).filter(|pid| serves(*pid, data)).into_iter().collect()
}

#[cfg(not(target_os = "linux"))]
fn serves(pid: Pid, _data: &Path) -> bool {
    let name = std::process::Command::new("ps").args(["-o", "comm=", "-p", &pid.to_string()]).output();
    name.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("postgres"))
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}
