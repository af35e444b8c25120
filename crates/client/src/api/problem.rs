//! Errors as the service tells them.

use std::fmt;

use serde::Deserialize;

/// An `application/problem+json` body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Problem {
    pub r#type: Option<String>,
    pub title: Option<String>,
    pub detail: Option<String>,
    /// The request's id, by which the operator finds it in the log.
    pub instance: Option<String>,
    /// Stable: programs decide by it.
    pub code: Option<String>,
    /// Every field that is wrong, all at once.
    pub errors: Vec<FieldError>,
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FieldError {
    /// A JSON pointer into the request's body, such as `/input/uri`.
    pub pointer: Option<String>,
    pub code: Option<String>,
    pub message: Option<String>,
}

impl Problem {
    /// Whether the problem or one of its fields has this code.
    pub fn has_code(&self, code: &str) -> bool {
        let is_code = |one: &Option<String>| one.as_deref() == Some(code);
        is_code(&self.code) || self.errors.iter().any(|error| is_code(&error.code))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.title.as_deref().or(self.code.as_deref()).unwrap_or("the service gave no reason");
        match self.detail.as_deref() {
            Some(detail) if detail != title => write!(f, "{title}: {detail}"),
            _ => f.write_str(title),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.as_deref().or(self.code.as_deref()).unwrap_or("is wrong");
        match self.pointer.as_deref() {
            Some(pointer) if !pointer.is_empty() => write!(f, "{pointer}: {message}"),
            _ => f.write_str(message),
        }
    }
}
