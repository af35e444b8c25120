//! A service with one tenant, one model and one input.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use api::{App, Config};
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use chrono::{DateTime, Utc};
use dataset::stores::{Stores, StoresConfig};
use dataset::work::WorkSpace;
use db::api_keys::NewKey;
use db::{Database, MasterKey};
use domain::api_key::ApiKey;
use domain::ids::KeyId;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::TestDb;
use tower::ServiceExt;
use uuid::Uuid;

pub struct TestApp {
    pub db: Database,
    pub work: WorkSpace,
    pub admin: String,
    /// A key of the tenant with both scopes.
    pub key: String,
    pub tenant_id: String,
    router: axum::Router,
    later_s: Arc<AtomicI64>,
    directory: TempDir,
    _test_db: TestDb,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Pointers and codes of the wrong fields.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| Some((error["pointer"].as_str()?, error["code"].as_str()?))).collect()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["x-request-id"].to_str().ok(), self.body["instance"].as_str());
    }
}

impl TestApp {
    pub async fn start() -> Self {
        let test_db = TestDb::new().await.expect("a database");
        let db = test_db.open().expect("a database");
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        std::fs::create_dir(&data).expect("a directory");
        let stores =
            Stores::new(StoresConfig { file_root: Some(data.clone()), ..StoresConfig::default() }).expect("stores");
        let prefix = format!("file://{}", directory.path().join("work").display()).parse().expect("a prefix");
        let work = WorkSpace::open(&stores, &prefix).expect("a work space");
        let admin = admin_key(&db).await;
        let later_s = Arc::new(AtomicI64::new(0));
        let clock = later_s.clone();
        let app = App {
            db: db.clone(),
            stores,
            work: work.clone(),
            master_key: Arc::new(MasterKey::new([1; 32])),
            clock: Arc::new(move || {
                DateTime::<Utc>::from(SystemTime::now()) + chrono::Duration::seconds(clock.load(Ordering::Relaxed))
            }),
            config: Config { allow_private: true, ..Config::default() },
        };
        let router = api::router(app);
        let mut app = Self {
            db,
            work,
            admin,
            key: String::new(),
            tenant_id: String::new(),
            router,
            later_s,
            directory,
            _test_db: test_db,
        };
        (app.tenant_id, app.key) = app.tenant("acme").await;
        let grant = json!({"uri_prefix": format!("file://{}/", data.display()), "access": "read_write"});
        app.admin("POST", &format!("/v1/admin/tenants/{}/grants", app.tenant_id), grant).await.expect(201);
        let provider = json!({"driver": "openai-compatible", "base_url": "http://127.0.0.1:9/v1"});
        app.admin("PUT", "/v1/admin/providers/sandbox", provider).await.expect(200);
        let model = json!({"upstream_model": "echo", "max_output_tokens": 100});
        app.admin("PUT", "/v1/admin/providers/sandbox/models/echo", model).await.expect(200);
        app.write("in.csv", "id,body\n1,hello\n2,world\n");
        app
    }

    /// A further tenant: id and key.
    pub async fn tenant(&self, name: &str) -> (String, String) {
        let tenant = self.admin("POST", "/v1/admin/tenants", json!({"name": name})).await.expect(201);
        let tenant_id = tenant["id"].as_str().expect("an id").to_owned();
        let key = self
            .admin("POST", &format!("/v1/admin/tenants/{tenant_id}/keys"), json!({"name": "main"}))
            .await
            .expect(201);
        (tenant_id, key["key"].as_str().expect("a key").to_owned())
    }

    /// Writes a file that the tenant may read. Returns its URI.
    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.directory.path().join("data").join(name), text).expect("a file");
        self.uri(name)
    }

    pub fn uri(&self, name: &str) -> String {
        format!("file://{}", self.directory.path().join("data").join(name).display())
    }

    /// The smallest submission.
    pub fn submission(&self) -> Value {
        json!({"input": {"uri": self.uri("in.csv")}, "model": "sandbox/echo", "prompt": "Say {{ body }}"})
    }

    pub async fn submit(&self) -> Value {
        self.post("/v1/jobs", self.submission()).await.expect(201)
    }

    /// Puts the clock forward.
    pub fn advance(&self, seconds: i64) {
        self.later_s.fetch_add(seconds, Ordering::Relaxed);
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Some(&self.key), None, &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(&self.key), Some(body.to_string()), &[]).await
    }

    pub async fn admin(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = (!body.is_null()).then(|| body.to_string());
        self.call(method, path, Some(&self.admin), body, &[]).await
    }

    pub async fn call(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.map_or_else(Body::empty, Body::from)).expect("a request");
        let (parts, body) = self.router.clone().oneshot(request).await.expect("an answer").into_parts();
        let bytes = axum::body::to_bytes(body, 10 << 20).await.expect("a body");
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()),
        }
    }
}

async fn admin_key(db: &Database) -> String {
    let key = ApiKey::from_random([42; 32]);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.expose().as_bytes());
    let new = NewKey {
        key_id: KeyId(Uuid::now_v7()),
        name: "test".into(),
        sha256: hash.as_ref().try_into().expect("32 bytes"),
        last_four: key.last_four().into(),
        scopes: vec![],
        expires_at: None,
    };
    let mut tx = db.scheduler().await.expect("a transaction");
    db::api_keys::insert_admin(&mut tx, &new).await.expect("a key");
    tx.commit().await.expect("a commit");
    key.expose().to_owned()
}
