//! Where a table is: a URI that the service reads, or a file of this machine.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::command::{CommandError, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Uri(String),
    Path(PathBuf),
}

impl FromStr for Location {
    type Err = Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        let is_uri = text.split_once("://").is_some_and(|(scheme, _)| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.chars().all(|character| character.is_ascii_alphanumeric() || "+-.".contains(character))
        });
        Ok(if is_uri { Self::Uri(text.to_owned()) } else { Self::Path(text.into()) })
    }
}

impl Location {
    /// As an input's URI: a file must be there.
    pub fn existing_uri(&self) -> Result<String> {
        match self {
            Self::Uri(uri) => Ok(uri.clone()),
            Self::Path(path) => file_uri(&canonical(path)?),
        }
    }

    /// As an output's URI: a file's directory must be there.
    pub fn future_uri(&self) -> Result<String> {
        let path = match self {
            Self::Uri(uri) => return Ok(uri.clone()),
            Self::Path(path) => path,
        };
        let name =
            path.file_name().ok_or_else(|| CommandError::Usage(format!("`{}` names no file", path.display())))?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        file_uri(&canonical(directory)?.join(name))
    }
}

fn canonical(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|source| CommandError::File { action: "find", path: path.to_owned(), source })
}

/// The service takes the path in a URI literally, so nothing is escaped.
fn file_uri(path: &Path) -> Result<String> {
    let text = path.to_str();
    let text = text.ok_or_else(|| CommandError::Usage(format!("the path `{}` is not UTF-8", path.display())))?;
    Ok(format!("file://{text}"))
}

/// The format that a file's ending names, where it is one that the service knows.
pub fn format_of(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let known = [(".csv", "csv"), (".parquet", "parquet"), (".tsv", "tsv"), (".jsonl", "jsonl")];
    known.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_scheme_is_a_uri_and_all_else_a_path() {
        let location = |text: &str| text.parse::<Location>().expect("infallible");
        assert_eq!(location("s3://data/in.csv"), Location::Uri("s3://data/in.csv".into()));
        assert_eq!(location("data/in.csv"), Location::Path("data/in.csv".into()));
        assert_eq!(location("odd ://in.csv"), Location::Path("odd ://in.csv".into()));
    }

    #[test]
    fn a_path_becomes_an_absolute_uri_without_escapes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("movie list.csv");
        std::fs::write(&path, "a\n").expect("a file");
        let uri = Location::Path(path.clone()).existing_uri().expect("a URI");
        assert!(uri.starts_with("file:///") && uri.ends_with("/movie list.csv"), "{uri}");
        assert!(Location::Path(directory.path().join("missing.csv")).existing_uri().is_err());
        let output = Location::Path(directory.path().join("new.csv")).future_uri().expect("a URI");
        assert!(output.ends_with("/new.csv"), "{output}");
    }
}
