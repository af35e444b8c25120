//! The only place of this crate that reads environment variables: where programs and user data are is known nowhere else.
#![expect(clippy::disallowed_methods, reason = "the one home of these reads in this crate")]

use std::env;
use std::path::PathBuf;

/// The directories of `PATH`, less those that depend on where the caller stands.
pub(crate) fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|directory| directory.is_absolute()).collect()
}

/// The user's data directory by the XDG base directory specification.
pub(crate) fn data_home() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))
}
