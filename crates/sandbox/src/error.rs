//! What can stop the sandbox.

use std::io;
use std::path::PathBuf;

/// Why the sandbox could not start, go on, or read a log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration contradicts itself; the text says where and how to fix it.
    #[error("sandbox configuration: {0}")]
    Config(String),
    /// The oracle log could not be opened or read.
    #[error("oracle log {path}: cannot {action} it; check that the path exists and is accessible")]
    Log {
        /// The log's path.
        path: PathBuf,
        /// What was being attempted: `open`, `read` or `repair`.
        action: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// A line of the oracle log is not one that the sandbox writes.
    #[error("oracle log {path}, line {line}: not a sandbox log line; was the file written by something else?")]
    LogLine {
        /// The log's path.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// The listening socket is unusable.
    #[error("the sandbox's listening socket failed")]
    Listen(#[source] io::Error),
}
