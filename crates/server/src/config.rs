//! The configuration: flag beats environment beats file beats default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::backoff::Backoff;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Everything that an operator may set. The file is TOML; each key has the environment form `GRISTMILL_SECTION__KEY`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where Postgres is: `postgres://user:password@host/database`. It is a secret.
    #[serde(skip_serializing)]
    pub database_url: Option<SecretString>,
    /// The API's address. Behind a proxy that ends TLS, keep it on loopback or a private network.
    pub listen: Option<SocketAddr>,
    /// Where jobs keep their files: `s3://bucket/prefix`, or `file:///directory` on a single machine.
    pub work_uri: Option<String>,
    /// 32 bytes in base64, which credentials are encrypted under. It is a secret: keep it apart from the database's backups.
    #[serde(skip_serializing)]
    pub master_key: Option<SecretString>,
    pub database: Database,
    pub worker: Worker,
    pub egress: Egress,
    pub storage: Storage,
    pub api: Api,
    pub log: Log,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// Connections of one process. Too few make steps wait for each other; too many exhaust the server.
    pub max_connections: u32,
    /// Refuse a server with `fsync`, `synchronous_commit` or `full_page_writes` off. Turn it off for tests only: what was
    /// accepted may be lost then.
    pub require_durable: bool,
}

impl Default for Database {
    fn default() -> Self {
        Self { max_connections: 16, require_durable: true }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// Seconds that a claim lasts without heartbeat. Too short, and a pause of the process loses its work; too long, and a dead
    /// worker's work waits.
    pub lease_s: f64,
    /// Steps (plan, seal, assemble) at once. Each keeps a processor busy; more than there are only adds memory.
    pub steps: usize,
    /// Dispatches at once. Each holds a chunk of some MB in memory.
    pub dispatches: usize,
    /// Steps of provider batches at once. Each holds a chunk of some MB in memory, and may hold files of a provider batch in the
    /// system's temporary directory.
    pub provider_batches: usize,
    /// Milliseconds between looks for work and for changed jobs where no hint came. Shorter is quicker and costs database time.
    pub poll_ms: u64,
    /// Seconds that calls in flight may take to finish after SIGTERM.
    pub grace_s: f64,
    /// Seconds between tries of a limit group that stands still.
    pub probe_s: f64,
    /// Upper bound of the first wait after a failed attempt, in milliseconds; it doubles from there.
    pub backoff_base_ms: u64,
    /// Upper bound of all waits after failed attempts, in milliseconds.
    pub backoff_cap_ms: u64,
    /// Longest reply of a provider that is read, in bytes.
    pub max_reply_bytes: usize,
    /// Where a worker process serves `/healthz`, `/readyz` and `/metrics`. None: nowhere.
    pub listen: Option<SocketAddr>,
}

impl Default for Worker {
    fn default() -> Self {
        let options = pipeline::Options::default();
        Self {
            lease_s: options.lease.as_secs_f64(),
            steps: options.steps,
            dispatches: options.dispatches,
            provider_batches: options.provider_batches,
            poll_ms: 500,
            grace_s: options.grace.as_secs_f64(),
            probe_s: options.probe.as_secs_f64(),
            backoff_base_ms: 1_000,
            backoff_cap_ms: 60_000,
            max_reply_bytes: 16 << 20,
            listen: None,
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Egress {
    /// Lets providers have private and loopback addresses. With it, whoever may edit provider records reaches your network.
    pub allow_private: bool,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// `file://` URIs may lie below this directory. None refuses them: on several machines files are not shared.
    pub file_root: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Longest request body in bytes. Too low refuses long prompts; too high lets callers fill the memory.
    pub max_body_bytes: usize,
}

impl Default for Api {
    fn default() -> Self {
        Self { max_body_bytes: 1 << 20 }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Which messages: a level, or `target=level` pairs with commas.
    pub filter: String,
    /// One JSON object per line instead of text.
    pub json: bool,
}

impl Default for Log {
    fn default() -> Self {
        // Postgres sends a notice at every start that nothing had to be migrated.
        Self { filter: "info,sqlx::postgres::notice=warn".to_owned(), json: false }
    }
}

/// Variables of the client and of this file's own place, which are no keys of it.
const NOT_KEYS: [&str; 3] = ["config", "url", "api_key"];

impl Config {
    /// Reads the file, if any, and the environment.
    ///
    /// # Errors
    /// The file can't be read; a key is unknown or has the wrong type.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            figment = figment.merge(Toml::file_exact(file));
        }
        Self::read(&figment.merge(Env::prefixed("GRISTMILL_").ignore(&NOT_KEYS).split("__")))
    }

    /// Reads a file's text alone, without the environment.
    ///
    /// # Errors
    /// It is no TOML; a key is unknown or has the wrong type.
    pub fn from_toml(text: &str) -> anyhow::Result<Self> {
        Self::read(&Figment::from(Serialized::defaults(Self::default())).merge(Toml::string(text)))
    }

    fn read(figment: &Figment) -> anyhow::Result<Self> {
        let config: Self = figment.extract().context("the configuration is wrong")?;
        let Worker { lease_s, grace_s, probe_s, .. } = config.worker;
        for (key, seconds) in [("lease_s", lease_s), ("grace_s", grace_s), ("probe_s", probe_s)] {
            let is_span = Duration::try_from_secs_f64(seconds).is_ok();
            ensure!(is_span, "the configuration is wrong: worker.{key} is {seconds}, and must be a number of seconds");
        }
        Ok(config)
    }

    pub fn pipeline(&self) -> pipeline::Options {
        let worker = &self.worker;
        pipeline::Options {
            lease: seconds(worker.lease_s),
            steps: worker.steps.max(1),
            dispatches: worker.dispatches.max(1),
            provider_batches: worker.provider_batches.max(1),
            poll: Duration::from_millis(worker.poll_ms.max(10)),
            grace: seconds(worker.grace_s),
            probe: seconds(worker.probe_s),
            backoff: Backoff {
                base: Duration::from_millis(worker.backoff_base_ms),
                cap: Duration::from_millis(worker.backoff_cap_ms),
            },
        }
    }
}

/// Seconds as configured, and at least a tenth of one.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default().max(Duration::from_millis(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_s_keys_are_the_documented_ones() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("gristmill.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\n[worker]\nlease_s = 2\n[egress]\nallow_private = true\n")
            .expect("written");
        let config = Config::load(Some(&file)).expect("a configuration");
        assert_eq!(config.pipeline().lease, Duration::from_secs(2));
        assert!(config.egress.allow_private);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = Config::from_toml("[worker]\nlease = 2\n").expect_err("refused");
        assert!(format!("{error:#}").contains("lease"), "{error:#}");
    }

    #[test]
    fn a_span_that_is_none_is_refused() {
        let error = Config::from_toml("[worker]\nlease_s = -1\n").expect_err("refused");
        assert!(error.to_string().contains("worker.lease_s"), "{error:#}");
    }
}
