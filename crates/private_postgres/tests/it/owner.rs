//! What is left when the process that owns a server is killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{PROGRAM, eventually, is_alive, recorded_pid, sql, start};

/// A process that owns a server in `directory`, as soon as the server is ready.
fn owner(directory: &Path) -> Child {
    let mut owner = Command::new(PROGRAM)
        .args(["run", "--dir"])
        .arg(directory)
        // Ends with its standard input, which is this test's.
        .args(["--", "sh", "-c", "echo ready; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    owner
}

#[cfg(target_os = "linux")]
#[test]
fn server_of_a_killed_owner_ends() {
    let directory = tempfile::tempdir().unwrap();
    let mut owner = owner(directory.path());
    let server = recorded_pid(directory.path());
    assert!(is_alive(server));
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("the server has ended", || !is_alive(server));
}

#[test]
fn server_starts_again_right_after_its_owner_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let mut owner = owner(directory.path());
        owner.kill().unwrap();
        owner.wait().unwrap();
        let server = start(directory.path());
        assert_eq!(sql(&server.url("postgres"), "select 1"), "1");
    }
}

#[test]
fn server_starts_again_after_owner_and_server_were_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut owner = owner(directory.path());
    let server = nix::unistd::Pid::from_raw(recorded_pid(directory.path()));
    // Stopped, it can't act on the end of its owner.
    nix::sys::signal::kill(server, nix::sys::signal::Signal::SIGSTOP).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    nix::sys::signal::kill(server, nix::sys::signal::Signal::SIGKILL).unwrap();
    let server = start(directory.path());
    assert_eq!(sql(&server.url("postgres"), "select 1"), "1");
}

#[test]
fn run_passes_on_the_exit_code_and_sets_the_url() {
    let directory = tempfile::tempdir().unwrap();
    let status = Command::new(PROGRAM)
        .args(["run", "--dir"])
        .arg(directory.path())
        .args(["--", "sh", "-c", "case $DATABASE_URL in postgres:///*) exit 7;; esac"])
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(7));
    assert!(!directory.path().join("data/postmaster.pid").exists());
}
