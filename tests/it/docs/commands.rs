//! Runs the commands of every page against a `gristmill dev` of its own.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tests::process::binary;
use tests::{Process, S3Server, TestDb};

use super::pages::{self, Page};

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_pages_runs() -> anyhow::Result<()> {
    let directory = tempfile::Builder::new().prefix("gristmill-docs-").tempdir()?;
    // The private server's own user passes through.
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    let (store, db) = (S3Server::start()?, TestDb::new().await?);
    store.put("movies.csv", std::fs::read(pages::root().join("examples/data/movies.csv"))?).await?;
    let (dev, line) = start_dev(directory.path(), &store)?;
    let mut environment = names(&line)?;
    environment.push(("GRISTMILL_DATABASE_URL".to_owned(), db.url.clone()));
    let mut failures = Vec::new();
    for page in pages::all()? {
        let script = script(&page)?;
        if !script.is_empty() {
            failures.extend(run(&page, &script, &environment, directory.path()).err());
        }
    }
    ensure!(failures.is_empty(), "{failures:#?}\n{}", dev.log());
    drop(dev);
    db.drop().await
}

fn start_dev(directory: &Path, store: &S3Server) -> anyhow::Result<(Process, Value)> {
    let stack = directory.join("stack");
    let arguments = ["dev", "--json", "--listen", "127.0.0.1:0", "--sandbox-latency-ms", "0", "--dir"];
    let arguments = [&arguments[..], &[stack.to_str().context("a path")?]].concat();
    let dev = Process::start(&arguments, &store.settings(), &directory.join("dev.log"), true)?;
    let line = serde_json::from_str(dev.first_line.as_deref().context("a line")?)?;
    Ok((dev, line))
}

/// What `dev` tells its user to set.
fn names(line: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let names = [
        ("GRISTMILL_URL", "url"),
        ("GRISTMILL_API_KEY", "api_key"),
        ("ADMIN_KEY", "admin_key"),
        ("TENANT", "tenant_id"),
        ("FILES", "work_dir"),
    ];
    let value = |field: &str| line[field].as_str().map(str::to_owned).with_context(|| field.to_owned());
    names.into_iter().map(|(name, field)| Ok((name.to_owned(), value(field)?))).collect()
}

/// All blocks of a page in order, as one script: later ones may use what earlier ones have set.
fn script(page: &Page) -> anyhow::Result<String> {
    let mut script = String::new();
    for block in page.blocks()?.into_iter().filter(|block| block.info == "sh") {
        write!(script, "BLOCK={}\n{}", block.line, block.text)?;
    }
    Ok(script)
}

/// In a folder with a fresh copy of the examples, like the repository's.
fn run(page: &Page, script: &str, environment: &[(String, String)], directory: &Path) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("page-").tempdir_in(directory)?;
    let copied = Command::new("cp").arg("-r").arg(pages::root().join("examples")).arg(folder.path()).status()?;
    ensure!(copied.success());
    let programs = binary()?.parent().context("a folder")?.to_owned();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c"])
        .arg(format!("PATH=$PROGRAMS:$PATH\ntrap 'echo \"failed: the block at line $BLOCK\" >&2' ERR\n{script}"))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("PROGRAMS", programs)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()?;
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    ensure!(output.status.success(), "{}: {}", page.name, printed.concat());
    Ok(())
}
