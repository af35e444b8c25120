use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{Files, open};
use crate::{Error, Options, PrivatePostgres, poll};

/// How often the keeper looks whether it is needed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A process that looks for a keeper holds its lock for a moment.
const LOOKING: Duration = Duration::from_secs(2);

/// Test processes run side by side, each with pools of its own.
const CONNECTIONS: u32 = 500;

/// Keeps the shared server of `directory` until nobody has used it for `linger`, then removes it with its data. The life of a
/// keeper process.
///
/// Returns at once when another keeper lives, and early when the server ended or the directory was removed.
///
/// # Errors
/// As [`PrivatePostgres::start`].
pub fn keep(directory: &Path, linger: Duration) -> Result<(), Error> {
    let files = Files::below(directory);
    let keeper = open(&files.keeper)?;
    if poll::until(LOOKING, || keeper.try_lock().ok()).is_none() {
        return Ok(());
    }
    let users = open(&files.users)?;
    files.remove_url();
    let options = Options { durable: false, max_connections: CONNECTIONS, ..Options::new(&files.server) };
    let mut server = PrivatePostgres::start(options)?;
    files.write_url(&server.url("postgres"))?;
    // From here on `users` is held alone, or nobody can find this server.
    wait_until_unneeded(&files, &users, &server, linger);
    files.remove_url();
    server.stop()?;
    drop(server);
    // Databases of tests that were killed would pile up. A keeper that is killed leaves them to its successor, whose users may
    // still be the same.
    fs::remove_dir_all(&files.server).map_err(Error::file("remove", &files.server))
}

fn wait_until_unneeded(files: &Files, users: &File, server: &PrivatePostgres, linger: Duration) {
    let mut last_used = Instant::now();
    while server.is_running() && is_at(users, &files.users) {
        if users.try_lock().is_err() {
            last_used = Instant::now();
        } else if last_used.elapsed() >= linger {
            return;
        } else {
            // Users must not wait for the linger to pass.
            let _ = users.unlock();
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Whether `path` still names the opened file.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(opened), Ok(named)) => identity(opened) == identity(named),
        _ => false,
    }
}
