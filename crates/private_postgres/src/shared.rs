//! One server for all test processes of a user.
//!
//! The first process that asks starts a keeper, a detached process that owns the server. Every process that uses it holds a
//! shared lock on the file `users` for its life; the keeper stops the server and ends when for a while it could have that
//! lock alone. All state is in locks that end with their process, so that kills and reboots leave nothing to repair.

use std::fs::{self, File, TryLockError};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use nix::unistd::Uid;

use crate::account::Account;
use crate::{Error, layout, locate, poll};

mod keeper;
pub use keeper::keep;

/// How long the server outlives its last user, so that one test run after another need not start it again.
const LINGER: Duration = Duration::from_secs(20);

/// A new cluster takes about a second; one that recovers may take as long as a private server may.
const STARTED_WITHIN: Duration = Duration::from_secs(130);

const KEEPER: &str = "private-postgres";

/// The URL of the shared server's database `postgres`; starts the server where it does not run.
///
/// The server stays while this process lives. For tests, which have nobody to hand an error to.
///
/// # Panics
/// When there is no server to be had, with the reason and what to do.
pub fn url() -> String {
    static MEMBER: OnceLock<Member> = OnceLock::new();
    let member =
        MEMBER.get_or_init(|| Place::of_this_user().and_then(Place::join).unwrap_or_else(|error| fail(&error)));
    member.url().unwrap_or_else(|error| fail(&error))
}

fn fail(error: &Error) -> ! {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    panic!("no shared PostgreSQL for tests: {error}{source}")
}

/// Where a shared server is, and who keeps it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Directory of the server and of the locks.
    pub directory: PathBuf,
    /// The program `private-postgres`.
    pub keeper: PathBuf,
    /// How long the server outlives its last user, in whole seconds.
    pub linger: Duration,
}

impl Place {
    /// The place that all checkouts of this user share: below the system's temporary directory, named by major version and
    /// user id.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] without a server, [`Error::NoKeeper`] when the keeper's program is not built.
    pub fn of_this_user() -> Result<Self, Error> {
        let major = locate::locate()?.major;
        let name = format!("gristmill-test-pg{major}-{}", Uid::effective());
        Ok(Self { directory: std::env::temp_dir().join(name), keeper: keeper_program()?, linger: LINGER })
    }

    /// Declares this process a user. The server may have to be started yet: [`Member::url`] does so.
    ///
    /// # Errors
    /// [`Error::ForeignDirectory`] and [`Error::File`] when the directory cannot be used.
    pub fn join(self) -> Result<Member, Error> {
        // A link could lead anywhere, and in a shared temporary directory anybody could have made it.
        if self.directory.is_symlink() {
            return Err(Error::ForeignDirectory { owner: u32::MAX, directory: self.directory });
        }
        layout::make_private(&self.directory, &Account::for_server()?)?;
        let files = Files::below(&self.directory);
        let users = open(&files.users)?;
        // Waits while a keeper that found itself alone stops its server.
        users.lock_shared().map_err(Error::file("lock", &files.users))?;
        Ok(Member { place: self, files, _users: users })
    }
}

/// The keeper's program: beside the running one, or above it, as for a test in `target/debug/deps`.
fn keeper_program() -> Result<PathBuf, Error> {
    let running = std::env::current_exe().map_err(Error::file("find", Path::new("the running program")))?;
    let found = running.ancestors().skip(1).take(3).map(|directory| directory.join(KEEPER)).find(|path| path.is_file());
    found.ok_or(Error::NoKeeper(running))
}

/// A process that uses a shared server. The server stays at least as long as this value.
#[derive(Debug)]
pub struct Member {
    place: Place,
    files: Files,
    _users: File,
}

impl Member {
    /// The URL of the database `postgres`. Starts a keeper where none lives.
    ///
    /// # Errors
    /// [`Error::Keeper`] when the server could not be started.
    pub fn url(&self) -> Result<String, Error> {
        let files = &self.files;
        let starting = open(&files.starting)?;
        starting.lock().map_err(Error::file("lock", &files.starting))?;
        if files.keeper_lives()? {
            // It may have been started by a process that was killed before the server was ready.
            let answer = poll::until(STARTED_WITHIN, || match (files.read_url(), files.keeper_lives()) {
                (Some(url), _) => Some(Ok(Some(url))),
                (None, Ok(true)) => None,
                (None, Ok(false)) => Some(Ok(None)),
                (None, Err(error)) => Some(Err(error)),
            });
            match answer {
                Some(Ok(Some(url))) => return Ok(url),
                Some(Ok(None)) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(files.keeper_error("did not start its server in time")),
            }
        }
        self.start_keeper()
    }

    fn start_keeper(&self) -> Result<String, Error> {
        let files = &self.files;
        files.remove_url();
        let mut keeper = self.spawn_keeper()?;
        let answer = poll::until(STARTED_WITHIN, || match (files.read_url(), keeper.try_wait()) {
            (Some(url), _) => Some(Ok(url)),
            (None, Ok(None)) => None,
            (None, _) => Some(Err(files.keeper_error("ended while starting"))),
        });
        answer.unwrap_or_else(|| Err(files.keeper_error("did not start its server in time")))
    }

    fn spawn_keeper(&self) -> Result<Child, Error> {
        let files = &self.files;
        let log = File::create(&files.log).map_err(Error::file("open", &files.log))?;
        let second = log.try_clone().map_err(Error::file("open", &files.log))?;
        Command::new(&self.place.keeper)
            .args(["keep", "--linger", &self.place.linger.as_secs().to_string(), "--dir"])
            .arg(&self.place.directory)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(second)
            // Signals to the test run's process group are not for the keeper.
            .process_group(0)
            .spawn()
            .map_err(Error::program(&self.place.keeper))
    }
}

/// The files of a shared server.
#[derive(Debug)]
struct Files {
    /// Locked shared by every user, and alone by a keeper that is about to stop.
    users: PathBuf,
    /// Locked by the process that looks for a keeper or starts one.
    starting: PathBuf,
    /// Locked by the keeper for its life.
    keeper: PathBuf,
    /// Content: the server's URL, while it runs.
    url: PathBuf,
    log: PathBuf,
    /// Directory of the private server itself.
    server: PathBuf,
}

impl Files {
    fn below(directory: &Path) -> Self {
        Self {
            users: directory.join("users"),
            starting: directory.join("start.lock"),
            keeper: directory.join("keeper.lock"),
            url: directory.join("url"),
            log: directory.join("keeper.log"),
            server: directory.join("server"),
        }
    }

    fn keeper_lives(&self) -> Result<bool, Error> {
        match open(&self.keeper)?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(Error::file("lock", &self.keeper)(error)),
        }
    }

    fn read_url(&self) -> Option<String> {
        fs::read_to_string(&self.url).ok()
    }

    /// Writes the URL so that a reader sees all of it or nothing.
    fn write_url(&self, url: &str) -> Result<(), Error> {
        let unfinished = self.url.with_extension("unfinished");
        fs::write(&unfinished, url).map_err(Error::file("write", &unfinished))?;
        fs::rename(&unfinished, &self.url).map_err(Error::file("write", &self.url))
    }

    fn remove_url(&self) {
        // Missing is as good as removed.
        let _ = fs::remove_file(&self.url);
    }

    fn keeper_error(&self, what: &'static str) -> Error {
        Error::Keeper { what, log: self.log.clone(), tail: crate::server::tail(&self.log) }
    }
}

/// Opens a lock file, making it where it is missing.
fn open(path: &Path) -> Result<File, Error> {
    File::options().create(true).append(true).open(path).map_err(Error::file("open", path))
}
