//! Where an object lies, and which objects a grant covers.

use std::fmt;
use std::str::FromStr;

/// Kinds of storage that Gristmill can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// A local file; only where the operator has configured a root.
    File,
    /// Amazon S3, or what speaks its protocol.
    S3,
}

impl Scheme {
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::S3 => "s3",
        }
    }
}

/// A text that names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStorageUri {
    #[error("not a usable object path: {reason}; write `s3://bucket/path/to/object`")]
    InvalidObjectPath { reason: &'static str },
    #[error("storage of the kind `{scheme}` is not supported; supported: s3 (and file, where it is configured)")]
    SchemeNotSupported { scheme: String },
}

impl InvalidStorageUri {
    /// The public error code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidObjectPath { .. } => "invalid_object_path",
            Self::SchemeNotSupported { .. } => "scheme_not_supported",
        }
    }
}

/// The address of one object: `s3://bucket/key` or `file:///absolute/path`.
///
/// The key is taken literally (nothing is percent-decoded) and can't climb: no empty, `.` or `..` segment in any
/// spelling, no backslash, no control character.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorageUri {
    scheme: Scheme,
    bucket: String,
    key: String,
}

impl StorageUri {
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Empty for files.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Without a leading slash, never empty; for files the absolute path without its leading slash.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether a grant for `prefix` covers this object.
    pub fn is_below(&self, prefix: &StoragePrefix) -> bool {
        self.scheme == prefix.scheme && self.bucket == prefix.bucket && prefix.covers_key(&self.key)
    }
}

/// What a storage grant covers: a bucket, or all keys below a path in it.
///
/// A prefix ends at a separator: `s3://data/tenant-1` covers the object `tenant-1` and everything below `tenant-1/`,
/// and nothing of `tenant-10`. With a slash at its end it covers only what is below.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoragePrefix {
    scheme: Scheme,
    bucket: String,
    /// Empty covers the whole bucket.
    key: String,
}

impl StoragePrefix {
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Empty for files.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Without slashes around it; empty for a whole bucket.
    pub fn key(&self) -> &str {
        self.key.trim_end_matches('/')
    }

    /// The object at a path below this prefix.
    pub fn object(&self, path: &str) -> Result<StorageUri, InvalidStorageUri> {
        format!("{}/{path}", self.to_string().trim_end_matches('/')).parse()
    }

    fn covers_key(&self, key: &str) -> bool {
        match key.strip_prefix(self.key.as_str()) {
            Some(rest) => self.key.is_empty() || self.key.ends_with('/') || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl FromStr for StorageUri {
    type Err = InvalidStorageUri;

    fn from_str(text: &str) -> Result<Self, InvalidStorageUri> {
        let (scheme, bucket, key) = split(text)?;
        if key.is_empty() {
            return Err(invalid("it names no object"));
        }
        check_key(key)?;
        Ok(Self { scheme, bucket: bucket.into(), key: key.into() })
    }
}

impl FromStr for StoragePrefix {
    type Err = InvalidStorageUri;

    fn from_str(text: &str) -> Result<Self, InvalidStorageUri> {
        let (scheme, bucket, key) = split(text)?;
        if !key.is_empty() {
            check_key(key.strip_suffix('/').unwrap_or(key))?;
        }
        Ok(Self { scheme, bucket: bucket.into(), key: key.into() })
    }
}

/// Scheme, bucket and key of a URI; the key may be empty.
fn split(text: &str) -> Result<(Scheme, &str, &str), InvalidStorageUri> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(invalid("it has no scheme"));
    };
    let scheme = match scheme {
        "s3" => Scheme::S3,
        "file" => Scheme::File,
        other => {
            let scheme = other.chars().take(20).filter(char::is_ascii_alphanumeric).collect();
            return Err(InvalidStorageUri::SchemeNotSupported { scheme });
        }
    };
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    match scheme {
        Scheme::File if !bucket.is_empty() => Err(invalid("a file is named by an absolute path: file:///path")),
        Scheme::S3 if !is_bucket_name(bucket) => Err(invalid("the bucket's name is not valid")),
        Scheme::File | Scheme::S3 => Ok((scheme, bucket, key)),
    }
}

/// S3's rule (3 to 63 of lower-case letters, digits, dots and hyphens), and underscores, which compatible stores allow.
fn is_bucket_name(bucket: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = bucket.as_bytes();
    (3..=63).contains(&bytes.len()) && bytes.iter().copied().all(inner) && edge(bytes.first()) && edge(bytes.last())
}

/// S3's limit on a key, in bytes.
const MAX_KEY_BYTES: usize = 1024;

fn check_key(key: &str) -> Result<(), InvalidStorageUri> {
    if key.len() > MAX_KEY_BYTES {
        return Err(invalid("it is longer than 1024 bytes"));
    }
    if key.chars().any(char::is_control) {
        return Err(invalid("it contains a control character"));
    }
    if key.contains('\\') {
        return Err(invalid("it contains a backslash"));
    }
    // A literal key is never decoded here, but something behind a store might do it.
    let decoded = key.to_ascii_lowercase().replace("%2e", ".");
    if ["%2f", "%5c", "%00"].iter().any(|escape| decoded.contains(escape)) {
        return Err(invalid("it contains an escaped separator"));
    }
    for segment in decoded.split('/') {
        match segment {
            "" => return Err(invalid("it has an empty segment")),
            "." | ".." => return Err(invalid("it has a `.` or `..` segment")),
            _ => {}
        }
    }
    Ok(())
}

fn invalid(reason: &'static str) -> InvalidStorageUri {
    InvalidStorageUri::InvalidObjectPath { reason }
}

macro_rules! text_form {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}://{}/{}", self.scheme.name(), self.bucket, self.key)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_form!(StorageUri);
text_form!(StoragePrefix);

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> StorageUri {
        text.parse().expect(text)
    }

    fn prefix(text: &str) -> StoragePrefix {
        text.parse().expect(text)
    }

    #[test]
    fn a_uri_survives_its_text() {
        for text in ["s3://acme-data/tickets.csv", "s3://acme-data/a b/100%/ü?.csv", "file:///srv/data/x.parquet"] {
            assert_eq!(uri(text).to_string(), text);
        }
        assert_eq!(uri("file:///srv/data/x.csv").key(), "srv/data/x.csv");
    }

    #[test]
    fn d1_paths_that_climb_or_hide_are_refused() {
        let keys = [
            "..",
            "../x",
            "a/../x",
            "a/./x",
            "%2e%2e/x",
            "%2E%2e/x",
            ".%2e/x",
            "..%2fx",
            "..%2Fx",
            "a%5c..%5cx",
            "a\\x",
            "a\0x",
            "a%00x",
            "a\nx",
            "a\u{85}x",
            "/x",
            "a//x",
            "a/",
            "",
        ];
        for key in keys {
            let error = format!("s3://acme-data/{key}").parse::<StorageUri>().expect_err(key);
            assert_eq!(error.code(), "invalid_object_path", "{key:?}");
        }
        for text in
            ["/etc/passwd", "tickets.csv", "", "s3:/acme-data/x", "s3://x", "s3://A-B/x", "file://host/x", "file://x"]
        {
            assert_eq!(text.parse::<StorageUri>().expect_err(text).code(), "invalid_object_path", "{text:?}");
        }
    }

    #[test]
    fn d3_other_schemes_are_not_supported() {
        for text in ["https://acme.test/x.csv", "gs://acme-data/x.csv", "S3://acme-data/x.csv", "://x"] {
            assert_eq!(text.parse::<StorageUri>().expect_err(text).code(), "scheme_not_supported", "{text:?}");
        }
    }

    #[test]
    fn d2_a_prefix_ends_at_a_separator() {
        for covering in ["s3://data/tenant-1", "s3://data/tenant-1/", "s3://data/", "s3://data"] {
            assert!(uri("s3://data/tenant-1/x.csv").is_below(&prefix(covering)), "{covering}");
        }
        assert!(uri("s3://data/tenant-1").is_below(&prefix("s3://data/tenant-1")));
        assert!(!uri("s3://data/tenant-1").is_below(&prefix("s3://data/tenant-1/")));
        for other in [
            "s3://data/tenant-10/x",
            "s3://data/tenant-10",
            "s3://data2/tenant-1/x",
            "s3://data/x/tenant-1/x",
            "file:///tenant-1/x",
        ] {
            assert!(!uri(other).is_below(&prefix("s3://data/tenant-1")), "{other}");
            assert!(!uri(other).is_below(&prefix("s3://data/tenant-1/")), "{other}");
        }
    }

    #[test]
    fn an_object_below_a_prefix() {
        assert_eq!(prefix("s3://data/out/").object("a/b.csv"), Ok(uri("s3://data/out/a/b.csv")));
        assert_eq!(prefix("file:///srv").object("b.csv"), Ok(uri("file:///srv/b.csv")));
        assert!(prefix("s3://data/out").object("../b.csv").is_err());
    }
}
