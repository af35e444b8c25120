use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running server process.
///
/// A thread of its own spawns the process and waits for its end, because the signal that Linux sends to a process whose
/// parent died is tied to the parent's *thread*.
#[derive(Debug)]
pub(crate) struct Postmaster {
    pid: Pid,
    exit: Arc<Exit>,
}

#[derive(Debug, Default)]
struct Exit {
    status: Mutex<Option<ExitStatus>>,
    changed: Condvar,
}

impl Postmaster {
    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        let exit = Arc::new(Exit::default());
        let (sender, spawned) = mpsc::sync_channel(1);
        let waiter = Arc::clone(&exit);
        thread::Builder::new().name("private-postgres".into()).spawn(move || {
            let child = command.spawn();
            let (pid, child) = match child {
                Ok(child) => (Ok(child.id()), Some(child)),
                Err(error) => (Err(error), None),
            };
            // The receiver waits for exactly this message, so it is there.
            let _ = sender.send(pid);
            if let Some(Ok(status)) = child.map(|mut child| child.wait()) {
                *waiter.lock() = Some(status);
                waiter.changed.notify_all();
            }
        })?;
        let pid = spawned.recv().map_err(io::Error::other)??;
        let pid = i32::try_from(pid).map_err(io::Error::other)?;
        Ok(Self { pid: Pid::from_raw(pid), exit })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn has_exited(&self) -> bool {
        self.exit.lock().is_some()
    }

    /// Waits for the end of the process; whether it came within `limit`.
    pub(crate) fn exits_within(&self, limit: Duration) -> bool {
        let waited = self.exit.changed.wait_timeout_while(self.exit.lock(), limit, |status| status.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    /// Sends a signal, unless the process has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if !self.has_exited() {
            // The one failure, a process that ended a moment ago, is what was wanted.
            let _ = kill(self.pid, signal);
        }
    }

    /// Whether the server in `data` says that it accepts connections, and is this process.
    pub(crate) fn is_ready(&self, data: &Path) -> bool {
        let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        // Line 1 is the process id, line 8 the status; see "postmaster.pid" in PostgreSQL's miscadmin.h.
        lines.next().is_some_and(|pid| pid.trim() == self.pid.to_string())
            && lines.nth(6).is_some_and(|status| status.trim() == "ready")
    }
}

impl Exit {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
