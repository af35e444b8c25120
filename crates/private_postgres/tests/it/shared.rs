use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use private_postgres::shared::Place;

use crate::support::{PROGRAM, eventually, is_alive, recorded_pid, sql};

#[test]
fn every_test_has_the_server_of_its_user() {
    let url = private_postgres::shared::url();
    assert_eq!(sql(&url, "select current_user"), "postgres");
    assert_eq!(private_postgres::shared::url(), url);
}

fn place(directory: &Path) -> Place {
    Place { directory: directory.to_owned(), keeper: PROGRAM.into(), linger: Duration::from_secs(1) }
}

fn keeper_has_ended(directory: &Path) -> bool {
    File::open(directory.join("keeper.lock")).unwrap().try_lock().is_ok()
}

/// The process that started the server.
fn keeper_of(server: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{server}/stat")).unwrap();
    // After the name in parentheses: state, parent.
    let after_name = status.rsplit_once(") ").unwrap().1;
    after_name.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn users_that_come_at_once_share_a_server_that_stops_after_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let users: Vec<_> = (0..4)
        .map(|_| {
            let place = place(directory.path());
            thread::spawn(move || {
                let member = place.join().unwrap();
                let url = member.url().unwrap();
                let identity = sql(&url, "select pg_postmaster_start_time()");
                (member, url, identity)
            })
        })
        .collect();
    let mut users: Vec<_> = users.into_iter().map(|user| user.join().unwrap()).collect();
    for (_, url, identity) in &users[1..] {
        assert_eq!((url, identity), (&users[0].1, &users[0].2));
    }
    let server = recorded_pid(&directory.path().join("server"));

    let (last, url, _) = users.pop().unwrap();
    drop(users);
    // Longer than the linger: the server stays while it has one user.
    sql(&url, "select pg_sleep(2)");
    assert!(is_alive(server));
    drop(last);
    eventually("the keeper has ended", || keeper_has_ended(directory.path()));
    assert!(!is_alive(server));
    assert!(!directory.path().join("url").exists());
    assert!(!directory.path().join("server").exists());
}

#[test]
fn killed_keeper_is_replaced_on_the_same_url() {
    let directory = tempfile::tempdir().unwrap();
    let member = place(directory.path()).join().unwrap();
    let url = member.url().unwrap();
    let first = recorded_pid(&directory.path().join("server"));
    kill(Pid::from_raw(keeper_of(first)), Signal::SIGKILL).unwrap();
    eventually("the keeper has ended", || keeper_has_ended(directory.path()));

    let newcomer = place(directory.path()).join().unwrap();
    assert_eq!(newcomer.url().unwrap(), url);
    assert_eq!(sql(&url, "select 1"), "1");
    assert_ne!(recorded_pid(&directory.path().join("server")), first);
    drop((member, newcomer));
    eventually("the keeper has ended", || keeper_has_ended(directory.path()));
}

#[test]
fn keeper_ends_with_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let member = place(directory.path()).join().unwrap();
    member.url().unwrap();
    let server = recorded_pid(&directory.path().join("server"));
    fs::remove_file(directory.path().join("users")).unwrap();
    eventually("the server has ended", || !is_alive(server));
    eventually("the keeper has ended", || keeper_has_ended(directory.path()));
}

#[test]
fn stale_url_is_not_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let member = place(directory.path()).join().unwrap();
    fs::write(directory.path().join("url"), "postgres:///gone").unwrap();
    assert_eq!(sql(&member.url().unwrap(), "select 1"), "1");
    drop(member);
    eventually("the keeper has ended", || keeper_has_ended(directory.path()));
}

#[test]
fn keeper_that_cannot_start_is_an_error_with_its_log() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("server")).unwrap();
    fs::write(directory.path().join("server/letter"), "dear").unwrap();
    let error = place(directory.path()).join().unwrap().url().unwrap_err().to_string();
    assert!(error.contains("is not empty"), "{error}");
}
