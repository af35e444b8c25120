use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;

use nix::unistd::Uid;
use private_postgres::{Error, PrivatePostgres};

use crate::support::{eventually, is_alive, options, sql, start};

#[test]
fn stopped_server_keeps_its_data_for_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start(directory.path());
    let url = server.url("postgres");
    sql(&url, "create table kept as select 7 as value");
    server.stop().unwrap();
    assert!(!is_alive(server.pid()));
    drop(server);

    let server = start(directory.path());
    assert_eq!(server.url("postgres"), url);
    assert_eq!(sql(&url, "select value from kept"), "7");
}

#[test]
fn dropped_server_stops() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let pid = server.pid();
    assert!(is_alive(pid));
    drop(server);
    assert!(!is_alive(pid));
}

#[test]
fn killed_server_recovers_committed_rows_on_the_same_url() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start(directory.path());
    let url = server.url("postgres");
    sql(&url, "create table kept as select 7 as value");
    server.kill9().unwrap();
    assert!(!server.is_running());
    server.restart().unwrap();
    assert_eq!(sql(&url, "select value from kept"), "7");
}

#[test]
fn lock_files_that_name_a_stranger_are_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    drop(start(directory.path()));
    let stranger = std::process::id();
    fs::write(directory.path().join("data/postmaster.pid"), format!("{stranger}\n")).unwrap();
    fs::write(directory.path().join("socket/.s.PGSQL.5432.lock"), format!("{stranger}\n")).unwrap();
    start(directory.path());
}

#[test]
fn server_listens_on_a_private_socket_and_no_port() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let socket = directory.path().join("socket");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o700);
    UnixStream::connect(socket.join(".s.PGSQL.5432")).unwrap();
    assert_eq!(sql(&server.url("postgres"), "show listen_addresses"), "");
}

#[test]
fn server_never_runs_as_root() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let uid = fs::metadata(format!("/proc/{}", server.pid())).unwrap().uid();
    assert_ne!(uid, 0);
    let caller = Uid::effective();
    assert!(caller.is_root() || caller.as_raw() == uid);
    let groups = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let groups = groups.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap();
    assert!(!caller.is_root() || groups.trim().is_empty(), "{groups}");
}

#[test]
fn durable_server_syncs_and_others_still_commit_synchronously() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path());
    let server = PrivatePostgres::start(options.clone()).unwrap();
    assert_eq!(sql(&server.url("postgres"), "show fsync"), "off");
    assert_eq!(sql(&server.url("postgres"), "show synchronous_commit"), "on");
    drop(server);
    options.durable = true;
    let server = PrivatePostgres::start(options).unwrap();
    assert_eq!(sql(&server.url("postgres"), "show fsync"), "on");
}

#[test]
fn directory_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _server = start(directory.path());
    let error = PrivatePostgres::start(options(directory.path())).unwrap_err();
    assert!(matches!(error, Error::InUse(_)), "{error}");
}

#[test]
fn cluster_of_another_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(start(directory.path()));
    fs::write(directory.path().join("data/PG_VERSION"), "9\n").unwrap();
    let error = PrivatePostgres::start(options(directory.path())).unwrap_err();
    assert!(matches!(&error, Error::VersionMismatch { found, .. } if found == "9"), "{error}");
}

#[test]
fn directory_with_other_things_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("letter"), "dear").unwrap();
    let before = fs::metadata(directory.path()).unwrap().permissions();
    let error = PrivatePostgres::start(options(directory.path())).unwrap_err();
    assert!(matches!(error, Error::NotEmpty(_)), "{error}");
    assert_eq!(fs::metadata(directory.path()).unwrap().permissions(), before);
}

#[test]
fn directory_that_the_server_cannot_enter_is_refused_with_its_name() {
    if !Uid::effective().is_root() {
        // Only root starts servers as somebody else.
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = PrivatePostgres::start(options(&closed.path().join("below"))).unwrap_err();
    assert!(matches!(&error, Error::Unreachable { closed: named, .. } if named == closed.path()), "{error}");
}

#[test]
fn unfinished_cluster_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    drop(start(directory.path()));
    let (data, unfinished) = (directory.path().join("data"), directory.path().join("data.unfinished"));
    fs::rename(&data, &unfinished).unwrap();
    fs::remove_file(unfinished.join("global/pg_control")).unwrap();
    let server = start(directory.path());
    assert_eq!(sql(&server.url("postgres"), "select 1"), "1");
    assert!(!unfinished.exists());
}

#[test]
fn server_that_ended_by_itself_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let pid = nix::unistd::Pid::from_raw(server.pid());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    eventually("the end is noticed", || !server.is_running());
}
