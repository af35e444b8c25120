use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid, User};

use crate::Error;

/// Users that may run the server when the caller is root, in order of preference.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Where util-linux puts `setpriv`.
const SETPRIV: [&str; 2] = ["/usr/bin/setpriv", "/bin/setpriv"];

/// The user that the server runs as: the caller itself, or an unprivileged one when the caller is root.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    uid: Uid,
    gid: Gid,
    /// Whether this is another user than the caller.
    pub(crate) is_other: bool,
    /// A `setpriv` that can tie a process's life to its parent's.
    setpriv: Option<PathBuf>,
}

impl Account {
    /// The account for servers started by this process.
    pub(crate) fn for_server() -> Result<Self, Error> {
        let caller = Uid::effective();
        let user = if caller.is_root() {
            UNPRIVILEGED.iter().find_map(|name| User::from_name(name).ok().flatten()).ok_or(Error::NoAccount)?
        } else {
            return Ok(Self {
                name: format!("with uid {caller}"),
                uid: caller,
                gid: Gid::effective(),
                is_other: false,
                setpriv: setpriv(),
            });
        };
        Ok(Self { name: user.name, uid: user.uid, gid: user.gid, is_other: true, setpriv: setpriv() })
    }

    /// A command that runs `program` as this account, with a clean environment, in a process group of its own so that a
    /// terminal's Ctrl-C reaches only the owner. On Linux it gets SIGINT when the thread that spawns it ends.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = match &self.setpriv {
            Some(setpriv) => self.through_setpriv(setpriv, program),
            None => self.directly(program),
        };
        command.env_clear().env("LC_ALL", "C").current_dir("/").process_group(0).stdin(Stdio::null());
        command
    }

    fn through_setpriv(&self, setpriv: &Path, program: &Path) -> Command {
        let mut command = Command::new(setpriv);
        command.args(["--pdeathsig", "INT"]);
        if self.is_other {
            command.args([format!("--reuid={}", self.uid), format!("--regid={}", self.gid)]).arg("--clear-groups");
        }
        command.arg("--").arg(program);
        command
    }

    fn directly(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if self.is_other {
            // The standard library drops supplementary groups with this when the caller is root.
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
        command
    }

    /// Makes `directory` where it is missing, owned by this account and closed to all others.
    pub(crate) fn own_directory(&self, directory: &Path) -> Result<(), Error> {
        match fs::symlink_metadata(directory) {
            Err(_) => fs::create_dir(directory).map_err(Error::file("create directory", directory))?,
            // In a shared temporary directory anybody could have put something of this name.
            Ok(there) if !there.is_dir() || ![self.uid, Uid::effective()].contains(&there.uid().into()) => {
                return Err(Error::ForeignDirectory { directory: directory.to_owned(), owner: there.uid() });
            }
            Ok(_) => {}
        }
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
            .map_err(Error::file("set permissions of", directory))?;
        if self.is_other {
            chown(directory, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
                .map_err(Error::file("change the owner of", directory))?;
        }
        Ok(())
    }

    /// Refuses a directory that the account may not enter, naming the topmost closed one above it.
    pub(crate) fn check_reaches(&self, directory: &Path) -> Result<(), Error> {
        if self.enters(directory)? {
            return Ok(());
        }
        let mut above: Vec<&Path> = directory.ancestors().collect();
        above.reverse();
        for closed in above {
            if !self.enters(closed)? {
                let (directory, closed) = (directory.to_owned(), closed.to_owned());
                return Err(Error::Unreachable { directory, user: self.name.clone(), closed });
            }
        }
        Ok(())
    }

    fn enters(&self, directory: &Path) -> Result<bool, Error> {
        let shell = Path::new("/bin/sh");
        let status = self
            .command(shell)
            .args(["-c", "cd \"$1\"", "sh"])
            .arg(directory)
            .stderr(Stdio::null())
            .status()
            .map_err(Error::program(shell))?;
        Ok(status.success())
    }
}

/// A `setpriv` of util-linux; others that bear the name lack `--pdeathsig`.
fn setpriv() -> Option<PathBuf> {
    SETPRIV.map(PathBuf::from).into_iter().find(|path| {
        let version = Command::new(path).arg("--version").output();
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux"))
    })
}
