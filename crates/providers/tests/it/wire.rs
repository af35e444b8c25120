use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::job::spec::Params;
use domain::prompt::{Message, Role};
use domain::provider::Driver;
use providers::client::{Arrival, Download, HttpClient, HttpOptions};
use providers::{BatchDriver, Connection, EncodedFile, Endpoint, Input, NewBatch};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use wiremock::Request;

/// What a test's driver is told beside its address.
#[derive(Default)]
pub struct Told<'a> {
    pub options: &'a [(&'a str, &'a str)],
    pub max_reply_bytes: Option<usize>,
}

pub fn connect(kind: Driver, base_url: &str, told: &Told<'_>) -> Connection {
    let max_reply_bytes = told.max_reply_bytes.unwrap_or(1 << 20);
    let http = HttpClient::new(HttpOptions { allow_private: true, max_reply_bytes }).expect("a client");
    let endpoint = Endpoint {
        base_url: base_url.to_owned(),
        secret: Some("sk-1".to_owned().into()),
        upstream_model: "m-1".to_owned(),
        max_output_tokens: None,
        timeout: Duration::from_secs(20),
        options: told.options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    };
    providers::connect(kind, http, endpoint)
}

pub fn messages() -> Vec<Message> {
    [(Role::System, "s"), (Role::User, "u \"q\" \u{1f600}\n"), (Role::Assistant, "a"), (Role::User, "v")]
        .map(|(role, text)| Message { role, text: text.to_owned() })
        .to_vec()
}

/// Every portable parameter.
pub fn params() -> Params {
    Params {
        temperature: Some(0.5),
        top_p: Some(0.9),
        max_output_tokens: Some(7),
        stop: vec!["END".to_owned()],
        seed: Some(1 << 40),
        reasoning_effort: Some("low".to_owned()),
        extra: serde_json::Map::new(),
    }
}

/// A folder with a file of encoded requests, one for each id.
pub struct Encoded {
    _directory: TempDir,
    path: PathBuf,
}

impl Encoded {
    pub fn new(driver: &dyn BatchDriver, params: &Params, ids: &[&str]) -> Self {
        let prepared = driver.prepare(params);
        let mut bytes = Vec::new();
        for id in ids {
            if !bytes.is_empty() {
                bytes.extend_from_slice(driver.habits().separator);
            }
            driver.encode(&prepared, id, &messages(), &mut bytes);
        }
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("d-1.jsonl");
        std::fs::write(&path, bytes).expect("a file");
        Self { _directory: directory, path }
    }

    pub fn file(&self) -> EncodedFile<'_> {
        let bytes = std::fs::metadata(&self.path).expect("a file").len();
        EncodedFile { path: &self.path, bytes, name: "d-1.jsonl" }
    }

    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.path).expect("a file")
    }

    /// A create call that sends it.
    pub fn inline(&self) -> NewBatch<'_> {
        NewBatch { input: Input::Inline(self.file()), tag: "t-1", window_s: 86_400 }
    }
}

/// A download, and all that it has brought.
pub struct Fetched {
    pub download: Download,
    arrivals: mpsc::Receiver<Arrival>,
    text: Vec<u8>,
}

impl Fetched {
    pub fn new(max_bytes: u64) -> Self {
        let (download, arrivals) = Download::new(max_bytes);
        Self { download, arrivals, text: Vec::new() }
    }

    pub fn text(&mut self) -> &str {
        while let Ok(arrival) = self.arrivals.try_recv() {
            match arrival {
                Arrival::Piece(piece) => self.text.extend_from_slice(&piece),
                Arrival::Restart => self.text.clear(),
                Arrival::End => {}
            }
        }
        std::str::from_utf8(&self.text).expect("a text")
    }
}

pub fn json(request: &Request) -> Value {
    serde_json::from_slice(&request.body).expect("a JSON body")
}

pub fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().expect("a text"))
}

/// What a definition of a file in `tests/schemas` has against a body.
pub fn problems(schema: &str, definition: &str, body: &Value) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas").join(schema);
    let text = std::fs::read_to_string(path).expect("a schema");
    let mut schema: Value = serde_json::from_str(&text).expect("a JSON schema");
    schema["$ref"] = format!("#/$defs/{definition}").into();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    validator.iter_errors(body).map(|error| error.to_string()).collect()
}

pub fn assert_valid(schema: &str, definition: &str, body: &Value) {
    let problems = problems(schema, definition, body);
    assert!(problems.is_empty(), "{problems:?} in {body}");
}
