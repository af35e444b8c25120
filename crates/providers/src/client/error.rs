//! Why there is no whole reply, and which failure that is.

use std::time::Duration;

use domain::failure::{Class, Failure};
use reqwest::StatusCode;

use super::egress;

/// Why there is no whole reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("the provider's base_url is not a URL")]
    NoUrl,
    #[error("the provider names an address outside of its own: {host}")]
    Elsewhere { host: String },
    #[error("the provider's address {host} is private; set egress.allow_private to reach it")]
    Blocked { host: String },
    #[error("could not connect: {0}")]
    Connect(String),
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("no whole reply within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    #[error("nothing moved for {} s", .0.as_secs_f64())]
    Stalled(Duration),
    #[error("the reply is longer than {limit} bytes")]
    TooLarge { limit: u64, status: StatusCode },
    #[error("{have} bytes of a file of {of} arrived")]
    Short { have: u64, of: u64 },
    #[error("the provider sent another part of the file than was asked for")]
    WrongRange,
    #[error("the file on this machine's disk can't be used: {0}")]
    Disk(#[from] std::io::Error),
}

impl HttpError {
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if let Some(host) = egress::blocked_host(error) {
            Self::Blocked { host }
        } else if error.is_connect() {
            Self::Connect(chain(error))
        } else {
            Self::Lost(chain(error))
        }
    }

    /// The provider may have done what was asked.
    pub(crate) fn is_ambiguous(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Timeout(_) | Self::Stalled(_) => true,
            Self::TooLarge { status, .. } => status.is_success() || status.is_server_error(),
            Self::NoUrl | Self::Elsewhere { .. } | Self::Blocked { .. } | Self::Connect(_) => false,
            // Only downloads end like this, and a file that could not be opened was never sent.
            Self::Short { .. } | Self::WrongRange | Self::Disk(_) => false,
        }
    }
}

impl From<&HttpError> for Failure {
    fn from(error: &HttpError) -> Self {
        let (class, code) = match error {
            HttpError::NoUrl => (Class::KeyLevel, "provider_misconfigured"),
            HttpError::Blocked { .. } => (Class::KeyLevel, "blocked_address"),
            HttpError::Connect(_) => (Class::Transient, "provider_unreachable"),
            HttpError::Lost(_) | HttpError::Short { .. } => (Class::Transient, "connection_lost"),
            HttpError::Timeout(_) | HttpError::Stalled(_) => (Class::Transient, "provider_timeout"),
            HttpError::TooLarge { .. } => (Class::Transient, "provider_response_too_large"),
            HttpError::Elsewhere { .. } | HttpError::WrongRange => (Class::Transient, "invalid_provider_response"),
            HttpError::Disk(_) => (Class::Transient, "disk_failed"),
        };
        Self::new(class, code, error.to_string())
    }
}

/// An error with its causes, without the URL (it may hold what is nobody's business).
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    if text.is_empty() { "no details".to_owned() } else { text }
}
