//! A worker: claims steps and dispatches, and knows leases, hints and shutdown. What a step does is no business of it.

mod claim;
mod clean;
mod dispatch;
mod heartbeat;
mod held;
mod provider_batch;
mod step;
mod sweep;
mod watch;

use std::sync::Arc;

use domain::ids::WorkerId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(crate) use self::held::Held;
use crate::job::Jobs;
use crate::run::commit::Committer;
use crate::{Context, Registry};

/// What a worker's tasks share.
pub(crate) struct Worker {
    pub context: Context,
    pub id: WorkerId,
    pub jobs: Jobs,
    pub registry: Registry,
    pub committer: Committer,
    pub held: Held,
    /// Wakes the claim loop: a hint came, or a slot is free.
    pub wake: Notify,
    /// Wakes the watch over jobs' states: a hint came.
    pub look: Notify,
    pub tasks: TaskTracker,
    /// No new claims and no new calls.
    pub stop: CancellationToken,
    /// The grace is over: calls in flight are given up.
    pub abort: CancellationToken,
}

/// Works until `stop` is cancelled, then hands everything back: no new claim at once, calls in flight get the grace to finish,
/// what was not sent is open again.
pub async fn run(context: Context, stop: CancellationToken) {
    let grace = context.options.grace;
    let abort = CancellationToken::new();
    let (committer, writer) = Committer::start(context.db.clone(), abort.clone());
    let held = Held::new(context.options.lease);
    let worker = Arc::new(Worker {
        context,
        id: WorkerId(Uuid::now_v7()),
        jobs: Jobs::default(),
        registry: Registry::default(),
        committer,
        held,
        wake: Notify::new(),
        look: Notify::new(),
        tasks: TaskTracker::new(),
        stop: stop.clone(),
        abort,
    });
    tracing::info!(worker.id = %worker.id, "worker started");
    let keepers = TaskTracker::new();
    let until_drained = CancellationToken::new();
    keepers.spawn(while_running(until_drained.clone(), heartbeat::run(worker.clone())));
    keepers.spawn(while_running(until_drained.clone(), watch::run(worker.clone())));
    keepers.spawn(while_running(stop.clone(), sweep::run(worker.clone())));
    keepers.spawn(while_running(stop.clone(), clean::run(worker.clone())));
    keepers.spawn(while_running(stop.clone(), watch::listen(worker.clone())));
    keepers.close();

    claim::run(&worker).await;
    tracing::info!(worker.id = %worker.id, "worker drains");
    worker.held.stop_all();
    worker.tasks.close();
    if tokio::time::timeout(grace, worker.tasks.wait()).await.is_err() {
        worker.abort.cancel();
        worker.tasks.wait().await;
    }
    until_drained.cancel();
    keepers.wait().await;
    drop(worker);
    // It ends when the last handle is gone and all is written.
    let _ = writer.await;
    tracing::info!("worker stopped");
}

/// A task that ends when its purpose does.
async fn while_running(until: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = until.cancelled() => {}
        () = task => {}
    }
}
