//! A snapshot of the database as gauges.

use std::collections::BTreeMap;
use std::time::Duration;

use db::metrics::{ProviderBatches, Snapshot};
use domain::provider::BatchLimits;
use domain::route;
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts, Registry};

use crate::run::place::Place;

/// Families of gauges that are being filled.
struct Gauges(Registry);

impl Gauges {
    fn add<'a, const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
        samples: impl IntoIterator<Item = ([&'a str; N], f64)>,
    ) {
        let gauge = super::register(&self.0, GaugeVec::new(Opts::new(name, help), &labels));
        for (values, value) in samples {
            gauge.with_label_values(&values).set(value);
        }
    }
}

pub(super) fn gather(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let gauges = Gauges(Registry::new());
    under_way(&gauges, snapshot);
    provider_batches(&gauges, snapshot);
    limit_groups(&gauges, snapshot);
    gauges.0.gather()
}

fn under_way(gauges: &Gauges, snapshot: &Snapshot) {
    let dispatches = || snapshot.dispatches.iter();
    gauges.add(
        "gristmill_dispatches",
        "Unsettled dispatches, by route and stage.",
        ["route", "stage"],
        dispatches().map(|some| ([some.route.as_str(), some.stage.as_str()], number(some.count))),
    );
    gauges.add(
        "gristmill_dispatch_oldest_age_seconds",
        "How long the dispatch that has not moved for longest has been in its stage.",
        ["route", "stage"],
        dispatches().map(|some| ([some.route.as_str(), some.stage.as_str()], some.oldest.as_secs_f64())),
    );
    gauges.add(
        "gristmill_steps_waiting",
        "Steps (plan, seal, assemble) that wait for a worker.",
        ["kind"],
        snapshot.steps.iter().map(|some| ([some.kind.as_str()], number(some.count))),
    );
    gauges.add(
        "gristmill_remote_objects",
        "Files and provider batches kept at providers.",
        [],
        [([], number(snapshot.remote_objects))],
    );
    gauges.add(
        "gristmill_remote_objects_overdue",
        "Those that could not be removed there in more than three tries.",
        [],
        [([], number(snapshot.overdue_objects))],
    );
}

/// A limit group's provider batches against what its records say.
#[derive(Default)]
struct Standing {
    reserved_tokens: u64,
    /// What the records allow. After a change of the record, the most that any of them allows.
    enqueued_tokens: Option<u64>,
    window: Option<f64>,
    queued: Option<f64>,
    creating: Option<f64>,
}

impl Standing {
    fn add(&mut self, batches: &ProviderBatches, limits: &BatchLimits) {
        let raise = |ratio: &mut Option<f64>, time: Option<Duration>, whole: Duration| {
            if let Some(time) = time {
                let part = time.as_secs_f64() / whole.as_secs_f64().max(1.0);
                *ratio = Some(ratio.unwrap_or_default().max(part));
            }
        };
        self.reserved_tokens += batches.reserved_tokens;
        self.enqueued_tokens = self.enqueued_tokens.max(limits.max_enqueued_tokens);
        raise(&mut self.window, batches.submitted_for, limits.window());
        raise(&mut self.queued, batches.queued_for, limits.window());
        raise(&mut self.creating, batches.creating_for, limits.create_settle());
    }
}

fn provider_batches(gauges: &Gauges, snapshot: &Snapshot) {
    let mut standings: BTreeMap<&str, Standing> = BTreeMap::new();
    for batches in &snapshot.provider_batches {
        let limits = Place::from_json(batches.place.clone()).ok().and_then(|place| place.limits()).unwrap_or_default();
        standings.entry(&batches.limit_group).or_default().add(batches, &limits);
    }
    let ratio = |name, help, of: fn(&Standing) -> Option<f64>| {
        let samples = standings.iter().filter_map(|(group, standing)| Some(([*group], of(standing)?)));
        gauges.add(name, help, ["limit_group"], samples);
    };
    ratio(
        "gristmill_provider_batch_window_ratio",
        "Age of the oldest unsettled provider batch, as a part of its window.",
        |standing| standing.window,
    );
    ratio(
        "gristmill_provider_batch_queued_ratio",
        "Longest time without progress in the provider's queue, as a part of the window.",
        |standing| standing.queued,
    );
    ratio(
        "gristmill_provider_batch_creating_ratio",
        "Longest time for which a create's fate has been unknown, as a part of the record's create_settle_s.",
        |standing| standing.creating,
    );
    gauges.add(
        "gristmill_allowance_reserved_tokens",
        "Enqueued tokens that unsettled provider batches hold.",
        ["limit_group"],
        standings.iter().map(|(group, standing)| ([*group], number(standing.reserved_tokens))),
    );
    let learned: BTreeMap<&str, u64> = snapshot
        .limit_groups
        .iter()
        .filter_map(|group| Some((group.limit_group.as_str(), group.enqueued_tokens?)))
        .collect();
    gauges.add(
        "gristmill_allowance_limit_tokens",
        "Enqueued tokens that may be held: by the record, or fewer by what refusals have taught.",
        ["limit_group"],
        standings.iter().filter_map(|(group, standing)| {
            let limits = [standing.enqueued_tokens, learned.get(group).copied()];
            Some(([*group], number(limits.into_iter().flatten().min()?)))
        }),
    );
}

fn limit_groups(gauges: &Gauges, snapshot: &Snapshot) {
    let groups = || snapshot.limit_groups.iter();
    gauges.add(
        "gristmill_provider_batch_latency_seconds",
        "From create to end of the last provider batches that were done; none before there were five.",
        ["limit_group", "quantile"],
        groups().flat_map(|group| {
            [("0.5", 50), ("0.95", 95)].into_iter().filter_map(|(quantile, percent)| {
                let latency = route::percentile(&group.latencies, percent)?;
                Some(([group.limit_group.as_str(), quantile], latency.as_secs_f64()))
            })
        }),
    );
    gauges.add(
        "gristmill_limit_group_paused",
        "1 while no call of the limit group can work, with the reason.",
        ["limit_group", "code"],
        groups().filter_map(|group| Some(([group.limit_group.as_str(), group.paused_code.as_deref()?], 1.0))),
    );
}

#[expect(clippy::cast_precision_loss, reason = "a gauge of 2⁵³ and more may be off by one")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;
    use serde_json::json;

    use super::*;

    fn batches(window_s: u32, submitted_s: u64) -> ProviderBatches {
        let batch = json!({"window_s": window_s, "max_enqueued_tokens": 1_000});
        ProviderBatches {
            limit_group: "key/\"m\"".to_owned(),
            place: json!({
                "provider": {"driver": "openai", "base_url": "https://example.org", "batch": batch},
                "model": {"upstream_model": "m"},
            }),
            reserved_tokens: 100,
            submitted_for: Some(Duration::from_secs(submitted_s)),
            queued_for: None,
            creating_for: None,
        }
    }

    #[test]
    fn a_group_s_worst_provider_batch_counts_and_refusals_lower_its_allowance() {
        let learned = db::metrics::LimitGroup {
            limit_group: "key/\"m\"".to_owned(),
            latencies: Vec::new(),
            enqueued_tokens: Some(400),
            paused_code: None,
        };
        let snapshot = Snapshot {
            provider_batches: vec![batches(100, 50), batches(10, 9)],
            limit_groups: vec![learned],
            ..Snapshot::default()
        };
        let text = TextEncoder::new().encode_to_string(&gather(&snapshot)).expect("well-formed");
        for line in [
            r#"gristmill_provider_batch_window_ratio{limit_group="key/\"m\""} 0.9"#,
            r#"gristmill_allowance_reserved_tokens{limit_group="key/\"m\""} 200"#,
            r#"gristmill_allowance_limit_tokens{limit_group="key/\"m\""} 400"#,
            "gristmill_remote_objects 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert!(!text.contains("queued_ratio") && !text.contains("example.org"), "{text}");
    }
}
