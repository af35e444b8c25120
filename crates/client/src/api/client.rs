//! The client itself: where the service is, and who asks.

use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder};
use url::Url;

use super::{ClientBuilder, Result};

/// A client of one service with one key. Clones share their connections.
///
/// Calls that may be repeated safely are: up to three times, with growing pauses or as long as `Retry-After` says, when
/// nobody answers or the service answers 429, 502, 503 or 504.
#[derive(Clone)]
pub struct Client {
    pub(super) base_url: Url,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) http: reqwest::Client,
    pub(super) builder: ClientBuilder,
}

impl Client {
    /// A client with the default settings; `base_url` is the service's address without `/v1`.
    pub fn new(base_url: &str, api_key: &str) -> Result<Self> {
        Self::builder(base_url).api_key(api_key).build()
    }

    pub fn builder(base_url: &str) -> ClientBuilder {
        ClientBuilder::new(base_url)
    }

    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// The address of a path below the base URL; segments are escaped.
    pub(super) fn endpoint(&self, segments: &[&str]) -> Url {
        let mut url = self.base_url.clone();
        url.path_segments_mut().expect("http and https URLs have paths").pop_if_empty().extend(segments);
        url
    }

    pub(super) fn get(&self, segments: &[&str]) -> RequestBuilder {
        self.request(Method::GET, segments)
    }

    pub(super) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.authorized(self.http.request(method, self.endpoint(segments)))
    }

    /// The request with the key. Only for the service itself.
    pub(super) fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            Some(authorization) => request.header(reqwest::header::AUTHORIZATION, authorization),
            None => request,
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_keep_the_base_path_and_escape_names() {
        for base in ["http://host/gristmill", "http://host/gristmill/"] {
            let client = Client::new(base, "gm_key").expect("a client");
            let url = client.endpoint(&["v1", "admin", "providers", "a/b c"]);
            assert_eq!(url.as_str(), "http://host/gristmill/v1/admin/providers/a%2Fb%20c");
        }
    }
}
