//! Tells people what went wrong and what to do.

use std::error::Error as _;
use std::io;

use super::{CommandError, Outcome};
use crate::api::Error;
use crate::terminal::{Terminal, printable};

/// Prints an error and gives the exit code that belongs to it.
pub fn error(terminal: &mut Terminal, error: &CommandError) -> Outcome {
    let outcome = error.outcome();
    if outcome != Outcome::Done {
        // Where standard error is closed too, the exit code still tells.
        let _ = print(terminal, error);
    }
    outcome
}

fn print(terminal: &mut Terminal, error: &CommandError) -> io::Result<()> {
    terminal.note(&format!("error: {}", printable(&error.to_string())))?;
    if let CommandError::Api(Error::Refused { problem, .. }) = error {
        for field in &problem.errors {
            terminal.note(&format!("  {}", printable(&field.to_string())))?;
        }
        if let Some(instance) = &problem.instance {
            terminal.note(&format!("  request {}", printable(instance)))?;
        }
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        terminal.note(&format!("  because: {}", printable(&inner.to_string())))?;
        cause = inner.source();
    }
    match hint(error) {
        Some(hint) => terminal.note(&format!("hint: {hint}")),
        None => Ok(()),
    }
}

fn hint(error: &CommandError) -> Option<&'static str> {
    match error {
        CommandError::MissingKey => Some(
            "set GRISTMILL_API_KEY, or give --api-key-file; `gristmill dev` prints a key, and so does `gristmill admin key create`",
        ),
        CommandError::Api(error) => hint_of_api(error),
        _ => None,
    }
}

fn hint_of_api(error: &Error) -> Option<&'static str> {
    let problem = match error {
        Error::Unreachable { .. } => {
            return Some("is the service running? `gristmill dev` starts one; --url or GRISTMILL_URL names another");
        }
        Error::InvalidAnswer { .. } => return Some("is --url the address of a Gristmill service?"),
        Error::Refused { problem, .. } => problem,
        _ => return None,
    };
    if problem.has_code("scheme_not_supported") || problem.has_code("storage_location_not_allowed") {
        return Some(
            "the service reads only storage that this tenant was granted; put the file there (s3://bucket/path) or ask for a \
             grant. Files of this machine work with `gristmill dev`, below the directories it was given",
        );
    }
    if problem.has_code("output_exists") {
        return Some("--if-exists replace overwrites it");
    }
    match error.status() {
        Some(401) => {
            Some("the key is unknown, expired, revoked or cut short: check GRISTMILL_API_KEY or --api-key-file")
        }
        Some(403) => Some("this key lacks the scope for it, or its tenant is suspended"),
        _ => None,
    }
}
