use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use private_postgres::{Options, PrivatePostgres};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_private-postgres");

/// Outer limit against hanging.
const LIMIT: Duration = Duration::from_mins(1);

pub fn start(directory: &Path) -> PrivatePostgres {
    PrivatePostgres::start(options(directory)).unwrap()
}

pub fn options(directory: &Path) -> Options {
    Options { durable: false, ..Options::new(directory) }
}

/// Runs SQL and returns its output, one value per line.
pub fn sql(url: &str, statement: &str) -> String {
    let psql: PathBuf = private_postgres::locate().unwrap().directory.join("psql");
    let arguments = [url, "-v", "ON_ERROR_STOP=1", "-qAtc", statement];
    let output = Command::new(psql).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{statement}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits until something is so.
pub fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !check() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The server's process id by its lock file.
pub fn recorded_pid(directory: &Path) -> i32 {
    let text = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

pub fn is_alive(pid: i32) -> bool {
    // A zombie is dead, only not yet waited for.
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}
