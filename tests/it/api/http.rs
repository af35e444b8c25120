//! Calls as any HTTP client makes them.

use std::time::Duration;

use anyhow::Context as _;
use client::api::{NewKey, TenantChange};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::Rig;

/// A caller with a key.
#[derive(Clone)]
pub struct Http {
    pub url: String,
    pub key: String,
    client: reqwest::Client,
}

/// What came back; the body is null where it is no JSON.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Http {
    pub fn new(rig: &Rig, key: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder();
        // Plain HTTP needs no certificates, and loopback no proxy.
        let client = client.no_proxy().tls_certs_only([]).redirect(reqwest::redirect::Policy::none());
        let client = client.timeout(Duration::from_secs(30)).build()?;
        Ok(Self { url: rig.url.clone(), key: key.to_owned(), client })
    }

    /// A request with the key.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.key)
    }

    pub fn anonymous(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Reply> {
        send(self.request("GET", path)).await
    }

    pub async fn call(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Reply> {
        send(self.request(method, path).json(body)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Reply> {
        self.call("POST", path, body).await
    }
}

pub async fn send(request: RequestBuilder) -> anyhow::Result<Reply> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
    Ok(Reply { status, headers, body })
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Pointers and codes of the wrong fields.
    pub fn errors(&self) -> Vec<(&str, &str)> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();

        errors.iter().filter_map(|error| Some((error["pointer"].as_str()?, error["code"].as_str()?))).collect()
    }

    /// Asserts that this is a problem document with everything that each of them has.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.body);
        assert_eq!(self.header(CONTENT_TYPE.as_str()), Some("application/problem+json"), "{}", self.body);
        assert_eq!(self.body["status"], status, "{}", self.body);
        for member in ["type", "title", "detail", "instance"] {
            assert!(self.body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {}", self.body);
        }
        assert_eq!(self.body["instance"].as_str(), self.header("x-request-id"), "{}", self.body);
    }

    /// Asserts that one field is wrong, for this reason.
    #[track_caller]
    pub fn assert_wrong_field(&self, pointer: &str, code: &str) {
        assert_eq!(self.status, 422, "{pointer} {code}: {}", self.body);
        assert!(self.errors().contains(&(pointer, code)), "{pointer} {code}: {}", self.body);
    }
}

/// A tenant's key, and the administrator's.
pub fn callers(rig: &Rig) -> anyhow::Result<(Http, Http)> {
    Ok((Http::new(rig, &rig.api_key)?, Http::new(rig, &rig.admin_key)?))
}

/// Another tenant with a key, and its id.
pub async fn another_tenant(rig: &Rig, name: &str) -> anyhow::Result<(Http, String)> {
    let change = TenantChange { name: Some(name.to_owned()), ..TenantChange::default() };
    let tenant = rig.admin.create_tenant(&change).await?;
    let key = rig.admin.create_key(&tenant.id, &NewKey { name: name.to_owned(), ..NewKey::default() }).await?;
    Ok((Http::new(rig, key.key.as_deref().context("a key")?)?, tenant.id.clone()))
}

/// The least that a submission needs.
pub fn submission(input_uri: &str) -> Value {
    json!({"input": {"uri": input_uri}, "model": "sandbox/echo", "prompt": "{{ text }}"})
}

/// The submission with these fields replaced.
pub fn with(mut submission: Value, changes: Value) -> Value {
    if let (Value::Object(submission), Value::Object(changes)) = (&mut submission, changes) {
        submission.extend(changes);
    }
    submission
}
