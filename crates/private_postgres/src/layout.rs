use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Uid;

use crate::account::Account;
use crate::{Error, environment, poll};

/// Longest path of a Unix socket on Linux (`sun_path` less its final zero).
const LONGEST_SOCKET_PATH: usize = 107;

/// Part of the socket's name. The server listens on no TCP port.
pub(crate) const PORT: u16 = 5432;

/// How long the previous owner may take to end.
const OWNER_LEAVES: Duration = Duration::from_secs(5);

const OWNER_LOCK: &str = "owner.lock";

/// The files of one private server.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    /// The cluster (`PGDATA`).
    pub(crate) data: PathBuf,
    /// A cluster that is being made; renamed when complete.
    pub(crate) unfinished: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) log: PathBuf,
    /// Locked as long as the owner lives, so that a server without a living owner is known as a leftover.
    _owner: File,
}

/// Where `dev` and `quickstart` keep their cluster: `/var/lib/gristmill/pg` for root, else below the user's data directory.
///
/// # Errors
/// [`Error::NoDataHome`] when neither `XDG_DATA_HOME` nor `HOME` is set.
pub fn default_data_dir() -> Result<PathBuf, Error> {
    if Uid::effective().is_root() {
        return Ok("/var/lib/gristmill/pg".into());
    }
    Ok(environment::data_home().ok_or(Error::NoDataHome)?.join("gristmill/pg"))
}

/// Where downloaded server programs are, in a directory named by major version.
pub(crate) fn download_directory() -> Result<PathBuf, Error> {
    Ok(default_data_dir()?.with_file_name("postgresql"))
}

impl Layout {
    /// Makes or takes over the directory `root` for a server of `account`.
    pub(crate) fn prepare(root: &Path, account: &Account) -> Result<Self, Error> {
        let root = std::path::absolute(root).map_err(Error::file("find", root))?;
        claim_directory(&root, account)?;
        let owner = lock_owner(&root)?;
        // Resolved, because processes are recognised by the directory that they work in.
        let root = root.canonicalize().map_err(Error::file("resolve", &root))?;
        account.check_reaches(&root)?;
        let socket = socket_directory(&root)?;
        account.own_directory(&socket)?;
        Ok(Self {
            data: root.join("data"),
            unfinished: root.join("data.unfinished"),
            socket,
            log: root.join("server.log"),
            root,
            _owner: owner,
        })
    }
}

/// Makes `root` where it is missing; refuses one that is another's or holds other things.
fn claim_directory(root: &Path, account: &Account) -> Result<(), Error> {
    if root.exists() {
        let empty = fs::read_dir(root).map_err(Error::file("read directory", root))?.next().is_none();
        if !empty && !root.join(OWNER_LOCK).is_file() {
            return Err(Error::NotEmpty(root.to_owned()));
        }
    }
    make_private(root, account)
}

/// Makes the caller's directory `root` where it is missing, closed to other users. The server's own user may pass through,
/// so that the server's directories can be below it.
pub(crate) fn make_private(root: &Path, account: &Account) -> Result<(), Error> {
    fs::create_dir_all(root).map_err(Error::file("create directory", root))?;
    let owner = fs::metadata(root).map_err(Error::file("read", root))?.uid();
    if owner != Uid::effective().as_raw() {
        return Err(Error::ForeignDirectory { directory: root.to_owned(), owner });
    }
    let mode = if account.is_other { 0o711 } else { 0o700 };
    fs::set_permissions(root, fs::Permissions::from_mode(mode)).map_err(Error::file("set permissions of", root))
}

fn lock_owner(root: &Path) -> Result<File, Error> {
    let path = root.join(OWNER_LOCK);
    let file = File::create(&path).map_err(Error::file("open", &path))?;
    let locked = poll::until(OWNER_LEAVES, || file.try_lock().ok());
    locked.map(|()| file).ok_or_else(|| Error::InUse(root.to_owned()))
}

/// A directory for the socket: below `root` if the path is short enough, else one in a temporary directory that is the same
/// at every start.
fn socket_directory(root: &Path) -> Result<PathBuf, Error> {
    let mut hasher = DefaultHasher::new();
    root.hash(&mut hasher);
    let short = format!("gristmill-pg-{:016x}", hasher.finish());
    [root.join("socket"), std::env::temp_dir().join(&short), Path::new("/tmp").join(&short)]
        .into_iter()
        .find(|directory| socket_path(directory).as_os_str().as_bytes().len() <= LONGEST_SOCKET_PATH)
        .ok_or_else(|| Error::SocketPathTooLong(root.to_owned()))
}

fn socket_path(directory: &Path) -> PathBuf {
    directory.join(format!(".s.PGSQL.{PORT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_of_a_long_directory_gets_a_short_stable_path() {
        let long = Path::new("/").join("d".repeat(120));
        let directory = socket_directory(&long).unwrap();
        assert!(socket_path(&directory).as_os_str().len() <= LONGEST_SOCKET_PATH);
        assert_eq!(socket_directory(&long).unwrap(), directory);
        assert_ne!(socket_directory(&long.join("other")).unwrap(), directory);
    }
}
