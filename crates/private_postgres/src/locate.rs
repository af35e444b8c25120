use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, environment, layout};

/// The oldest major version that is accepted.
pub const MINIMUM_MAJOR: u32 = 15;

/// Parents of one directory per installed version, and what its name has before the version.
const VERSIONED: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@"),
];

/// Server programs of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The directory that has `initdb` and `postgres`.
    pub directory: PathBuf,
    /// Major version, as 15.
    pub major: u32,
}

impl Binaries {
    pub(crate) fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }
}

/// Finds server programs: on `PATH`, by `pg_config --bindir`, then where packages of Debian, Fedora and Homebrew put them,
/// newest first, then where an earlier download put them.
///
/// # Errors
/// [`Error::NotInstalled`] says what to install.
pub fn locate() -> Result<Binaries, Error> {
    first_usable(candidates())
}

fn first_usable(candidates: impl IntoIterator<Item = PathBuf>) -> Result<Binaries, Error> {
    let mut too_old = Vec::new();
    for directory in candidates {
        match installation(&directory) {
            Some(binaries) if binaries.major >= MINIMUM_MAJOR => return Ok(binaries),
            Some(binaries) => too_old.push(format!("{} has {}", binaries.directory.display(), binaries.major)),
            None => {}
        }
    }
    Err(Error::NotInstalled { too_old })
}

fn candidates() -> impl Iterator<Item = PathBuf> {
    let configured = || {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(text(&output.stdout).into())
    };
    let packaged = || VERSIONED.iter().flat_map(|(parent, prefix)| versions(Path::new(parent), prefix));
    let downloaded = || layout::download_directory().map(|parent| versions(&parent, "")).unwrap_or_default();
    // The later sources are asked only when the earlier ones had nothing.
    environment::search_path()
        .into_iter()
        .chain(iter::once_with(configured).flatten())
        .chain(iter::once_with(packaged).flatten())
        .chain(iter::once_with(downloaded).flatten())
}

/// Directories `parent/{prefix}{version}/bin`, newest version first.
fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_unstable_by(|left, right| right.cmp(left));
    found.into_iter().map(|(_, directory)| directory).collect()
}

/// The installation in `directory`, if both programs are there. `pg_config` alone comes with client packages.
fn installation(directory: &Path) -> Option<Binaries> {
    // The server finds its other files from where its program really is, and a link's directory may have only some.
    let postgres = directory.join("postgres").canonicalize().ok()?;
    let directory = postgres.parent()?.to_owned();
    if !directory.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(&postgres).arg("--version").output().ok()?;
    Some(Binaries { directory, major: major(&text(&output.stdout))? })
}

/// The major version in a text as `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    let digits = number.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_read_from_releases_and_betas() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta2"), Some(18));
        assert_eq!(major("postgres (PostgreSQL) 17"), Some(17));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn newest_version_comes_first() {
        let parent = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17", "other"] {
            fs::create_dir_all(parent.path().join(version).join("bin")).unwrap();
        }
        let expected = ["17", "15", "9"].map(|version| parent.path().join(version).join("bin"));
        assert_eq!(versions(parent.path(), ""), expected);
    }

    #[test]
    fn missing_server_is_an_error_that_says_what_to_install() {
        let message = first_usable([PathBuf::from("/nonexistent")]).unwrap_err().to_string();
        assert!(message.contains("apt-get install postgresql"), "{message}");
        assert!(message.contains("PATH"), "{message}");
    }
}
