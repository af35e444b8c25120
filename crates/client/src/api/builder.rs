//! How a client is made.

use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::redirect;
use url::{Host, Url};

use super::{Client, Error, Result};

/// Settings of a [`Client`].
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    base_url: String,
    api_key: Option<String>,
    connect_timeout: Duration,
    pub(super) answer_timeout: Duration,
    retry_delay: Duration,
}

impl ClientBuilder {
    pub(super) fn new(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            api_key: None,
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_mins(1),
            retry_delay: Duration::from_millis(200),
        }
    }

    #[must_use]
    pub fn api_key(mut self, api_key: &str) -> Self {
        self.api_key = Some(api_key.to_owned());
        self
    }

    /// How long a connection may take to come about. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long an answer may take; of an output, how long it may stand still. Default: 60 s.
    #[must_use]
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// The pause before the first repeat of a call, doubled for each further one. Default: 200 ms.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = delay;
        self
    }

    /// # Errors
    /// [`Error::InvalidBaseUrl`], [`Error::InvalidApiKey`], [`Error::Setup`].
    pub fn build(self) -> Result<Client> {
        let base_url = parse_base_url(&self.base_url)?;
        let authorization = self.api_key.as_deref().map(bearer).transpose()?;
        let http = self.http_for(&base_url)?;
        Ok(Client { base_url, authorization, http, builder: self })
    }

    /// An HTTP client for one address.
    pub(super) fn http_for(&self, url: &Url) -> Result<reqwest::Client> {
        let settings = reqwest::Client::builder()
            .user_agent(concat!("gristmill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.answer_timeout)
            .redirect(redirect::Policy::none());
        // A proxy would look for loopback addresses on its own machine.
        let settings = if is_loopback(url) { settings.no_proxy() } else { settings };
        // Plain HTTP needs no root certificates, and reading them can fail on a bare machine.
        let settings = if url.scheme() == "http" { settings.tls_certs_only([]) } else { settings };
        settings.build().map_err(|source| Error::Setup { source })
    }

    pub(super) fn delay_before_retry(&self, retry: u32) -> Duration {
        self.retry_delay * 2_u32.saturating_pow(retry)
    }
}

fn bearer(api_key: &str) -> Result<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Bearer {api_key}")).map_err(|_| Error::InvalidApiKey)?;
    header.set_sensitive(true);
    Ok(header)
}

fn parse_base_url(text: &str) -> Result<Url> {
    let invalid = |reason: String| Error::InvalidBaseUrl { url: text.to_owned(), reason };
    let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(invalid(format!("`{other}` is neither http nor https"))),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_without_http_is_refused() {
        for text in ["localhost:8787", "gristmill", "ftp://example.com"] {
            let error = ClientBuilder::new(text).build().expect_err(text);
            assert!(matches!(error, Error::InvalidBaseUrl { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn a_key_never_shows_in_debug() {
        let client = ClientBuilder::new("http://127.0.0.1:1").api_key("gm_secret").build().expect("a client");
        assert!(!format!("{client:?}").contains("gm_secret"));
    }
}
