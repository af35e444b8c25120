use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::account::Account;
use crate::cluster::{self, SUPERUSER};
use crate::layout::{Layout, PORT};
use crate::locate::{self, Binaries};
use crate::postmaster::Postmaster;
use crate::{Error, leftovers, poll};

/// Recovery after a crash reads all WAL since the last checkpoint, at most `max_wal_size`.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// How long a fast shutdown may take before the server is told to leave without a checkpoint.
const FAST_SHUTDOWN: Duration = Duration::from_secs(15);

/// How long the server may take to leave without a checkpoint.
const IMMEDIATE_SHUTDOWN: Duration = Duration::from_secs(5);

/// A log that has grown beyond this is begun anew at the next start.
const LONGEST_LOG_BYTES: u64 = 10 << 20;

/// Lines of the log that an error shows.
const TAIL_LINES: usize = 15;

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory for the cluster, its socket and its log; made when missing, taken up again when it holds a cluster.
    pub data_dir: PathBuf,
    /// Whether data survives a crash of the operating system. A kill of the server loses nothing either way.
    pub durable: bool,
    /// Most connections at a time.
    pub max_connections: u32,
    /// Server programs; looked for when `None`.
    pub binaries: Option<Binaries>,
}

impl Options {
    /// A durable server in `data_dir` with up to 200 connections.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), durable: true, max_connections: 200, binaries: None }
    }
}

/// A private server; stops when dropped.
///
/// It runs as the caller, or as an unprivileged user when the caller is root, and listens on a Unix socket that only these
/// two can reach. On Linux it shuts down when the process that holds this handle dies in whatever way.
#[derive(Debug)]
pub struct PrivatePostgres {
    options: Options,
    binaries: Binaries,
    account: Account,
    layout: Layout,
    postmaster: Postmaster,
}

impl PrivatePostgres {
    /// Starts the server and waits until it accepts connections. Ends what a dead owner of the same directory left running.
    /// Blocks, for up to 2 minutes where much has to be recovered.
    ///
    /// # Errors
    /// Every [`Error`] but those of the shared server.
    pub fn start(options: Options) -> Result<Self, Error> {
        let binaries = match &options.binaries {
            Some(binaries) => binaries.clone(),
            None => locate::locate()?,
        };
        let account = Account::for_server()?;
        let layout = Layout::prepare(&options.data_dir, &account)?;
        leftovers::clear(&layout)?;
        cluster::ensure(&layout, &binaries, &account, options.durable)?;
        let postmaster = spawn(&options, &binaries, &account, &layout)?;
        Ok(Self { options, binaries, account, layout, postmaster })
    }

    /// The URL of a database, as sqlx and libpq understand it. The user is the superuser; the database `postgres` exists.
    pub fn url(&self, database: &str) -> String {
        let host = percent_encoded(&self.layout.socket);
        format!("postgres:///{database}?host={host}&port={PORT}&user={SUPERUSER}")
    }

    /// Process id of the server, or of the last one when it has ended.
    pub fn pid(&self) -> i32 {
        self.postmaster.pid().as_raw()
    }

    /// Whether the server's process is there.
    pub fn is_running(&self) -> bool {
        !self.postmaster.has_exited()
    }

    /// Shuts down: closes all connections, writes a checkpoint, ends. After 15 s without one, and then after 5 s by force.
    ///
    /// # Errors
    /// [`Error::StillRunning`] when not even force ended it.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.postmaster.signal(Signal::SIGINT);
        if self.postmaster.exits_within(FAST_SHUTDOWN) {
            return Ok(());
        }
        self.postmaster.signal(Signal::SIGQUIT);
        if self.postmaster.exits_within(IMMEDIATE_SHUTDOWN) {
            return Ok(());
        }
        self.kill9()
    }

    /// Kills all the server's processes at once, as a crash would. For tests of recovery.
    ///
    /// # Errors
    /// [`Error::StillRunning`] when processes remain.
    pub fn kill9(&mut self) -> Result<(), Error> {
        self.postmaster.signal(Signal::SIGKILL);
        self.postmaster.exits_within(IMMEDIATE_SHUTDOWN);
        leftovers::kill_all(&self.layout)
    }

    /// Starts the server again on the same cluster and URL, after stopping it where it runs.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn restart(&mut self) -> Result<(), Error> {
        self.stop()?;
        leftovers::clear(&self.layout)?;
        self.postmaster = spawn(&self.options, &self.binaries, &self.account, &self.layout)?;
        Ok(())
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; the next start deals with what remains.
        let _ = self.stop();
    }
}

fn spawn(options: &Options, binaries: &Binaries, account: &Account, layout: &Layout) -> Result<Postmaster, Error> {
    let program = binaries.postgres();
    let mut command = account.command(&program);
    command.arg("-D").arg(&layout.data).arg("-k").arg(&layout.socket);
    for (name, value) in settings(options) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    let log = open_log(&layout.log)?;
    let second = log.try_clone().map_err(Error::file("open", &layout.log))?;
    command.stdout(log).stderr(second);
    let postmaster = Postmaster::spawn(command).map_err(Error::program(&program))?;
    let failure = poll::until(READY_WITHIN, || {
        if postmaster.has_exited() {
            return Some(Some("ended while starting"));
        }
        postmaster.is_ready(&layout.data).then_some(None)
    });
    let what = match failure {
        Some(None) => return Ok(postmaster),
        Some(Some(what)) => what,
        None => {
            postmaster.signal(Signal::SIGQUIT);
            "did not become ready in time"
        }
    };
    Err(Error::Start { what, log: layout.log.clone(), tail: tail(&layout.log) })
}

/// Given on the command line, so that a change here reaches clusters that exist already.
fn settings(options: &Options) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("listen_addresses", String::new()),
        ("port", PORT.to_string()),
        ("unix_socket_permissions", "0700".into()),
        ("max_connections", options.max_connections.to_string()),
        ("shared_buffers", "128MB".into()),
        ("max_wal_size", "2GB".into()),
        ("wal_compression", "on".into()),
        ("logging_collector", "off".into()),
        ("log_destination", "stderr".into()),
        ("log_min_messages", "warning".into()),
        ("timezone", "UTC".into()),
        ("log_timezone", "UTC".into()),
    ];
    if !options.durable {
        // Both matter only when the operating system stops. Commits stay synchronous, so that a killed server loses none.
        settings.extend([("fsync", "off".into()), ("full_page_writes", "off".into())]);
    }
    settings
}

fn open_log(path: &Path) -> Result<File, Error> {
    let file = File::options().create(true).append(true).open(path).map_err(Error::file("open", path))?;
    if file.metadata().is_ok_and(|metadata| metadata.len() > LONGEST_LOG_BYTES) {
        file.set_len(0).map_err(Error::file("shorten", path))?;
    }
    Ok(file)
}

/// The last lines of a log, for an error's text.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Percent-encodes all but unreserved characters and `/` (RFC 3986, section 3.4 allows it in a query).
fn percent_encoded(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => text.push(char::from(*byte)),
            _ => write!(text, "%{byte:02X}").expect("writing to a String cannot fail"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_directory_is_encoded_in_the_url() {
        assert_eq!(percent_encoded(Path::new("/a b/c&d")), "/a%20b/c%26d");
    }
}
