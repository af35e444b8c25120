//! The one place of the service that reads environment variables.
#![expect(clippy::disallowed_methods, reason = "the one home of these reads")]

use std::env;

/// A variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// All variables whose names begin with this, for libraries that are configured by them.
pub fn variables_starting(prefix: &str) -> Vec<(String, String)> {
    env::vars().filter(|(name, _)| name.starts_with(prefix)).collect()
}
