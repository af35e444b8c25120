//! Logs, on standard error.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::config::Log;

/// Starts logging.
///
/// # Errors
/// The filter is malformed.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(&log.filter).with_context(|| format!("log.filter `{}` is malformed", log.filter))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, as in a test, keeps the first.
    if log.json {
        let _ = builder.json().try_init();
    } else {
        let _ = builder.with_ansi(std::io::stderr().is_terminal()).try_init();
    }
    Ok(())
}
