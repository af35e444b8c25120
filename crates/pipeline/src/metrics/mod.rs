//! What this process has seen happen, and how things stand for all of them, in Prometheus' text form.
//!
//! Labels are routes, stages, statuses, limit groups and kinds of work: nothing of a tenant, a job or a prompt.

mod gauges;

use std::fmt;
use std::sync::Arc;

use db::Database;
use domain::provider_batch::RemoteStatus;
use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry, TextEncoder};
use tokio::sync::Mutex;

/// How a provider batch may end.
const ENDS: [RemoteStatus; 5] =
    [RemoteStatus::Done, RemoteStatus::Failed, RemoteStatus::Expired, RemoteStatus::Cancelled, RemoteStatus::Lost];

/// Counters of this process; cheap to clone.
///
/// Each is there from the start, at 0: `increase()` does not see the step from nothing to one. So none of them is labelled by what is
/// not known in advance, such as limit groups; the log tells those.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// One scrape at a time, so that whoever may call it holds no more than one connection.
    turn: Arc<Mutex<()>>,
    ended: IntCounterVec,
    dropped: IntCounterVec,
    pub(crate) stuck: IntCounter,
    pub(crate) missing: IntCounter,
    pub(crate) duplicates: IntCounter,
    pub(crate) lost_creates: IntCounter,
    pub(crate) refusals: IntCounter,
    pub(crate) lost_leases: IntCounter,
    pub(crate) fenced: IntCounter,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let counter = |name, help| register(&registry, IntCounter::new(name, help));
        let labelled = |name, help, label| register(&registry, IntCounterVec::new(Opts::new(name, help), &[label]));
        let ended =
            labelled("gristmill_provider_batches_ended_total", "Provider batches that ended, by status.", "status");
        for status in ENDS {
            ended.with_label_values(&[status.name()]);
        }
        let dropped = labelled("gristmill_results_dropped_total", "Result lines that are nobody's.", "reason");
        for reason in ["unknown", "unreadable"] {
            dropped.with_label_values(&[reason]);
        }
        Self {
            stuck: counter(
                "gristmill_provider_batches_stuck_total",
                "Provider batches cancelled because they were stuck.",
            ),
            missing: counter(
                "gristmill_results_missing_total",
                "Rows of which the results of a done provider batch say nothing.",
            ),
            duplicates: counter(
                "gristmill_duplicate_provider_batches_total",
                "Second provider batches of one create that were found.",
            ),
            lost_creates: counter("gristmill_creates_lost_total", "Creates of provider batches whose reply was lost."),
            refusals: counter(
                "gristmill_creates_refused_total",
                "Creates of provider batches refused for want of queue.",
            ),
            lost_leases: counter("gristmill_leases_lost_total", "Leases found lost by a heartbeat."),
            fenced: counter("gristmill_writes_fenced_total", "Writes refused because their lease was lost."),
            ended,
            dropped,
            turn: Arc::default(),
            registry,
        }
    }
}

fn register<T: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<T>) -> T {
    let metric = metric.expect("names and labels are well-formed");
    registry.register(Box::new(metric.clone())).expect("each name is there once");
    metric
}

impl Metrics {
    pub(crate) fn ended(&self, status: RemoteStatus) {
        self.ended.with_label_values(&[status.name()]).inc();
    }

    /// Result lines that name nothing of ours, and those that are no results.
    pub(crate) fn dropped(&self, unknown: u64, unreadable: u64) {
        self.dropped.with_label_values(&["unknown"]).inc_by(unknown);
        self.dropped.with_label_values(&["unreadable"]).inc_by(unreadable);
    }

    /// The text of a scrape: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.
    ///
    /// # Errors
    /// The database's.
    pub async fn scrape(&self, db: &Database) -> db::Result<String> {
        let _turn = self.turn.lock().await;
        let mut tx = db.scheduler().await?;
        let snapshot = db::metrics::snapshot(&mut tx).await?;
        tx.commit().await?;
        let mut families = gauges::gather(&snapshot);
        families.extend(self.registry.gather());
        Ok(TextEncoder::new().encode_to_string(&families).expect("a registry gathers no empty family"))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
