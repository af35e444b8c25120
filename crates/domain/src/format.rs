//! File formats of a job's input and output.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Csv,
    Jsonl,
    Parquet,
    /// CSV with tabs.
    Tsv,
}

impl Format {
    /// The format that a file's name implies, if any. Text may be compressed.
    pub fn from_path(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?.to_ascii_lowercase();
        match name.rsplit_once('.')? {
            (_, "csv") => Some(Self::Csv),
            (_, "jsonl") => Some(Self::Jsonl),
            (_, "parquet") => Some(Self::Parquet),
            (_, "tsv") => Some(Self::Tsv),
            (name, "gz" | "zst") => Self::from_path(name).filter(|format| format.is_text()),
            _ => None,
        }
    }

    /// Whether files of this format are text, which may be compressed as a whole.
    pub fn is_text(self) -> bool {
        match self {
            Self::Csv | Self::Jsonl | Self::Tsv => true,
            Self::Parquet => false,
        }
    }

    /// The byte between cells, where there are any.
    pub fn delimiter(self) -> Option<u8> {
        match self {
            Self::Csv => Some(b','),
            Self::Tsv => Some(b'\t'),
            Self::Jsonl | Self::Parquet => None,
        }
    }

    /// The usual ending of such files, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
            Self::Tsv => "tsv",
        }
    }
}

/// What a job's input is: a file of rows, or one of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputFormat {
    Csv,
    Jsonl,
    Parquet,
    Tsv,
    /// Lines of OpenAI's batch files, each a request of its own: [`crate::openai_line`].
    Openai,
}

impl InputFormat {
    /// The format of the file.
    pub fn file(self) -> Format {
        match self {
            Self::Csv => Format::Csv,
            Self::Jsonl | Self::Openai => Format::Jsonl,
            Self::Parquet => Format::Parquet,
            Self::Tsv => Format::Tsv,
        }
    }
}

impl From<Format> for InputFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Jsonl => Self::Jsonl,
            Format::Parquet => Self::Parquet,
            Format::Tsv => Self::Tsv,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_imply_formats() {
        for (name, format) in [
            ("s3://a/b.csv", Some(Format::Csv)),
            ("b.CSV.GZ", Some(Format::Csv)),
            ("b.csv.zst", Some(Format::Csv)),
            ("b.jsonl", Some(Format::Jsonl)),
            ("b.jsonl.gz", Some(Format::Jsonl)),
            ("b.tsv.gz", Some(Format::Tsv)),
            ("b.parquet", Some(Format::Parquet)),
            ("b.parquet.gz", None),
            ("b.csv.gz.gz", Some(Format::Csv)),
            ("a.csv/b", None),
            ("b.gz", None),
            ("csv", None),
        ] {
            assert_eq!(Format::from_path(name), format, "{name}");
        }
    }
}
