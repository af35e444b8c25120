//! What a stack keeps between runs, all below one directory.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `pg/` the private Postgres, `objects/` what `file://` URIs may name, `work/` the jobs' own files, and secrets beside them.
pub struct StateDir {
    root: PathBuf,
    objects: PathBuf,
    work: PathBuf,
}

impl StateDir {
    /// Makes it where it is missing.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let context = || format!("can't use the directory {}", root.display());
        // The server's unprivileged user passes through it on its way to `pg/`.
        fs::DirBuilder::new().recursive(true).mode(0o711).create(root).with_context(context)?;
        let root = root.canonicalize().with_context(context)?;
        let objects = root.join("objects");
        let work = root.join("work");
        for directory in [&objects, &work] {
            fs::create_dir_all(directory).with_context(context)?;
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).with_context(context)?;
        }
        Ok(Self { root, objects, work })
    }

    pub fn postgres(&self) -> PathBuf {
        self.root.join("pg")
    }

    pub fn objects(&self) -> &Path {
        &self.objects
    }

    pub fn work(&self) -> &Path {
        &self.work
    }

    /// The key that this directory's credentials are encrypted under; made at the first run.
    pub fn master_key(&self) -> anyhow::Result<SecretString> {
        if let Some(key) = self.read::<String>("master-key.json")? {
            return Ok(key.into());
        }
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes)?;
        let key = base64::engine::general_purpose::STANDARD.encode(bytes);
        self.write("master-key.json", &key)?;
        Ok(key.into())
    }

    /// What was written under a name, if anything.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let path = self.root.join(name);
        match fs::read(&path) {
            Ok(json) => {
                Ok(Some(serde_json::from_slice(&json).with_context(|| format!("{} is damaged", path.display()))?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
        }
    }

    /// Writes it where only its owner can read it, whole or not at all.
    pub fn write(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let (path, new) = (self.root.join(name), self.root.join(format!("{name}.new")));
        let context = || format!("can't write {}", path.display());
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).with_context(context)?;
        file.write_all(&serde_json::to_vec_pretty(value)?).with_context(context)?;
        file.sync_all().with_context(context)?;
        fs::rename(&new, &path).with_context(context)
    }
}
