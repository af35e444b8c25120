use std::fs;
use std::path::Path;

use crate::Error;
use crate::account::Account;
use crate::layout::Layout;
use crate::locate::Binaries;

/// The superuser of every private cluster.
pub(crate) const SUPERUSER: &str = "postgres";

/// Makes the cluster where there is none; refuses one of another major version.
pub(crate) fn ensure(layout: &Layout, binaries: &Binaries, account: &Account, durable: bool) -> Result<(), Error> {
    let version = layout.data.join("PG_VERSION");
    if !layout.data.exists() {
        return create(layout, binaries, account, durable);
    }
    let found = fs::read_to_string(&version).map_err(Error::file("read", &version))?.trim().to_owned();
    if found == binaries.major.to_string() {
        return Ok(());
    }
    Err(Error::VersionMismatch { directory: layout.data.clone(), found, major: binaries.major })
}

/// Makes the cluster beside its place and renames it when complete, so that a kill leaves nothing half made behind.
fn create(layout: &Layout, binaries: &Binaries, account: &Account, durable: bool) -> Result<(), Error> {
    remove_directory(&layout.unfinished)?;
    account.own_directory(&layout.unfinished)?;
    let initdb = binaries.initdb();
    let mut command = account.command(&initdb);
    command.arg("--pgdata").arg(&layout.unfinished).args([
        "--encoding=UTF8",
        "--locale=C",
        // Safe because only this user can reach the socket's directory.
        "--auth-local=trust",
        "--auth-host=reject",
    ]);
    command.arg(format!("--username={SUPERUSER}"));
    if !durable {
        command.arg("--no-sync");
    }
    let output = command.output().map_err(Error::program(&initdb))?;
    if !output.status.success() {
        return Err(Error::Initdb(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    fs::rename(&layout.unfinished, &layout.data).map_err(Error::file("rename", &layout.unfinished))
}

fn remove_directory(directory: &Path) -> Result<(), Error> {
    if directory.exists() {
        fs::remove_dir_all(directory).map_err(Error::file("remove", directory))?;
    }
    Ok(())
}
