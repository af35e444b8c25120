//! The shipped binary as a process that can be killed, stopped and started again.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running `gristmill`, killed when dropped. Its standard error goes to a file.
pub struct Process {
    child: Child,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    /// Its first line on standard output, where it was asked for.
    pub first_line: Option<String>,
}

/// The binary of the same build: beside a benchmark, and one folder above a test.
pub fn binary() -> anyhow::Result<PathBuf> {
    let mine = std::env::current_exe()?;
    mine.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("gristmill"))
        .find(|binary| binary.exists())
        .context("the binary `gristmill` is missing: run ./test, or cargo build first")
}

/// The binary, without the settings of the tests themselves: it refuses what it doesn't know.
pub fn command() -> anyhow::Result<Command> {
    let mut command = Command::new(binary()?);
    for knob in ["KILLS", "CREATES", "ROWS", "OUTAGE_S"] {
        command.env_remove(format!("GRISTMILL_TEST_{knob}"));
    }
    Ok(command)
}

impl Process {
    /// Starts it; with `read_line`, waits for its first line.
    pub fn start(
        arguments: &[&str],
        environment: &[(String, String)],
        log: &Path,
        read_line: bool,
    ) -> anyhow::Result<Self> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let (child, first_line) = spawn(&arguments, environment, log, read_line)?;
        Ok(Self { child, arguments, environment: environment.to_vec(), log: log.to_owned(), first_line })
    }

    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(self.pid(), signal)?)
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The same again, after it has ended.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        let (child, first_line) = spawn(&self.arguments, &self.environment, &self.log, self.first_line.is_some())?;
        self.child = child;
        self.first_line = first_line;
        Ok(())
    }

    /// SIGTERM, and waits; returns whether it ended with success.
    pub fn terminate(&mut self, within: Duration) -> anyhow::Result<bool> {
        self.signal(Signal::SIGTERM)?;
        self.wait(within)
    }

    /// Waits for its end; returns whether it ended with success.
    pub fn wait(&mut self, within: Duration) -> anyhow::Result<bool> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            if Instant::now() > until {
                bail!("it did not end within {within:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A stopped process takes SIGKILL too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(
    arguments: &[String],
    environment: &[(String, String)],
    log: &Path,
    read_line: bool,
) -> anyhow::Result<(Child, Option<String>)> {
    let stderr = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    let mut child = command()?
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(if read_line { Stdio::piped() } else { Stdio::null() })
        .stderr(stderr)
        .spawn()?;
    let mut first_line = None;
    if let Some(stdout) = child.stdout.take() {
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            let _ = child.kill();
            bail!(
                "`gristmill {}` ended at once: {}",
                arguments.join(" "),
                std::fs::read_to_string(log).unwrap_or_default()
            );
        }
        first_line = Some(line.trim_end().to_owned());
    }
    Ok((child, first_line))
}
