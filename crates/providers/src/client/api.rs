//! A provider's API: its address, and the headers that go there and nowhere else.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::{Download, Form, HttpClient, HttpError, HttpReply};

/// Cheap enough to clone; clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub http: HttpClient,
    /// `None` if the record's base URL can't be one: every call fails at key level then, and says so.
    base: Option<Url>,
    /// With the secret.
    pub headers: HeaderMap,
    /// Bound on a call, and on a standstill in a transfer.
    pub timeout: Duration,
}

/// A header whose value no log shows. `None` if it can't be one: the provider refuses the call then, at key level.
pub(crate) fn secret_header(name: HeaderName, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

impl Api {
    /// `headers` go with every call.
    pub fn new(
        http: HttpClient,
        base_url: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        timeout: Duration,
    ) -> Self {
        let base = Url::parse(base_url.trim_end_matches('/')).ok().filter(|url| !url.cannot_be_a_base());
        Self { http, base, headers: headers.into_iter().collect(), timeout }
    }

    /// The address of a path below the base, given by its segments; they may hold anything.
    pub fn url(&self, path: &[&str]) -> Result<Url, HttpError> {
        let mut url = self.base.clone().ok_or(HttpError::NoUrl)?;
        url.path_segments_mut().map_err(|()| HttpError::NoUrl)?.pop_if_empty().extend(path);
        Ok(url)
    }

    /// An address that the provider gave, if it is at the same origin: the headers go nowhere else.
    pub fn own_url(&self, text: &str) -> Result<Url, HttpError> {
        let base = self.base.as_ref().ok_or(HttpError::NoUrl)?;
        let url = base.join(text).map_err(|_| HttpError::Elsewhere { host: "(no URL)".to_owned() })?;
        if url.origin() == base.origin() {
            Ok(url)
        } else {
            Err(HttpError::Elsewhere { host: url.host_str().unwrap_or("(no host)").to_owned() })
        }
    }

    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<HttpReply, HttpError> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http.call(Method::GET, &url, self.headers.clone(), Vec::new(), self.timeout).await
    }

    /// Sends a JSON body, once.
    pub async fn post(&self, path: &[&str], json: Vec<u8>) -> Result<HttpReply, HttpError> {
        self.http.post(&self.url(path)?, self.json_headers(), json, self.timeout).await
    }

    /// Sends no body, once.
    pub async fn post_nothing(&self, path: &[&str]) -> Result<HttpReply, HttpError> {
        self.http.post(&self.url(path)?, self.headers.clone(), Vec::new(), self.timeout).await
    }

    pub async fn delete(&self, path: &[&str]) -> Result<HttpReply, HttpError> {
        self.http.call(Method::DELETE, &self.url(path)?, self.headers.clone(), Vec::new(), self.timeout).await
    }

    pub async fn upload_form(&self, path: &[&str], form: Form<'_>) -> Result<HttpReply, HttpError> {
        self.http.upload_form(&self.url(path)?, self.headers.clone(), form, self.timeout).await
    }

    pub async fn download(&self, path: &[&str], into: &mut Download) -> Result<HttpReply, HttpError> {
        self.http.download(&self.url(path)?, self.headers.clone(), into, self.timeout).await
    }

    /// The headers of a call with a JSON body.
    pub fn json_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::HttpOptions;

    fn api(base_url: &str) -> Api {
        let http = HttpClient::new(HttpOptions::default()).expect("a client");
        Api::new(http, base_url, [], Duration::from_secs(1))
    }

    #[test]
    fn a_segment_stays_a_segment() {
        let url = |path: &[&str]| api("https://a.test/v1//").url(path).expect("a URL").to_string();
        assert_eq!(url(&["files", "f-1", "content"]), "https://a.test/v1/files/f-1/content");
        assert_eq!(url(&["files", "../../x?y#z%2f"]), "https://a.test/v1/files/..%2F..%2Fx%3Fy%23z%252f");
        assert_eq!(url(&["files", ".."]), "https://a.test/v1/files");
    }

    #[test]
    fn a_base_keeps_its_query() {
        let url = api("https://a.test/openai?api-version=1").url(&["files"]).expect("a URL");
        assert_eq!(url.as_str(), "https://a.test/openai/files?api-version=1");
        for wrong in ["", "a.test/v1", "mailto:x"] {
            assert!(matches!(api(wrong).url(&["files"]), Err(HttpError::NoUrl)), "{wrong}");
        }
    }

    #[test]
    fn addresses_of_other_origins_are_refused() {
        let api = api("https://a.test/v1");
        assert!(api.own_url("https://a.test/v1/results/1").is_ok() && api.own_url("/v1/results/1").is_ok());
        for other in ["http://a.test/", "https://a.test:444/", "https://b.test/", "//b.test/", "https://a.test@b.test/"]
        {
            assert!(matches!(api.own_url(other), Err(HttpError::Elsewhere { .. })), "{other}");
        }
    }

    #[test]
    fn a_secret_is_in_no_log() {
        let (_, value) = secret_header(CONTENT_TYPE, "sk-1").expect("a header");
        assert_eq!(format!("{value:?}"), "Sensitive");
        assert!(secret_header(CONTENT_TYPE, "a\nb").is_none());
    }
}
