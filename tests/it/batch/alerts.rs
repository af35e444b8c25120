//! Each alert of `deploy/alerts.yml` is fired by a fault of the sandbox, by none when all is well, and has its place in the runbook.

mod expression;
mod rules;

use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tests::{Rig, RigOptions};

use self::expression::{Scrape, holds};
use self::rules::{Rule, rules};
use super::support::{LONG, eager, eager_with, patch_batches, run, start_with, submission, totals};
use crate::docs::pages;
use crate::jobs::support;

/// The operators' page.
const PAGE: &str = "docs/how-to/run-provider-batches.md";

/// What metrics may be labelled by.
const LABELS: [&str; 8] = ["code", "kind", "limit_group", "quantile", "reason", "route", "stage", "status"];

/// What goes wrong, and under which limits that is seen soon.
struct Fault {
    limits: Value,
    sandbox: Value,
    /// Changes the sandbox once it has made a second provider batch.
    then: Value,
    /// Stands in the first row.
    marker: &'static str,
    rows: usize,
}

impl Default for Fault {
    fn default() -> Self {
        Self { limits: eager(), sandbox: json!({}), then: json!({}), marker: "", rows: 20 }
    }
}

/// The fault that fires an alert.
fn fault(alert: &str) -> Option<Fault> {
    let fault = match alert {
        "ProviderBatchPastItsWindow" => Fault {
            limits: eager_with(json!({"window_s": 4})),
            sandbox: json!({"outcomes": [{"outcome": "stuck_running"}], "cancel_ms": 600_000}),
            ..Fault::default()
        },
        "ProviderBatchStuckInQueue" => Fault {
            limits: eager_with(json!({"window_s": 20})),
            sandbox: json!({"outcomes": [{"outcome": "stuck_validating"}]}),
            ..Fault::default()
        },
        "ResultsMissing" => Fault { marker: "[[sandbox:batch_missing times=1]]", ..Fault::default() },
        "ResultsUnknown" => Fault { marker: "[[sandbox:batch_unknown times=1]]", ..Fault::default() },
        // Each provider batch takes a quarter of what may be queued.
        "AllowanceExhausted" => Fault {
            limits: eager_with(json!({"max_enqueued_tokens": 4_000})),
            sandbox: json!({"outcomes": [{"outcome": "stuck_running"}]}),
            rows: 3_000,
            ..Fault::default()
        },
        "LimitGroupPaused" => {
            Fault { sandbox: json!({"faults": [{"op": "upload", "fault": "status_401"}]}), ..Fault::default() }
        }
        "CreateUnaccounted" => Fault {
            sandbox: json!({"faults": [
                {"op": "create", "fault": "drop_after", "times": 1}, {"op": "list", "fault": "status_500"},
            ]}),
            ..Fault::default()
        },
        // The list does not show the first one before there is a second.
        "DuplicateProviderBatch" => Fault {
            sandbox: json!({
                "faults": [{"op": "create", "fault": "drop_after", "times": 1}], "list_lag_ms": 600_000, "complete_ms": 600_000,
            }),
            then: json!({"list_lag_ms": 0}),
            ..Fault::default()
        },
        "RemoteObjectsPileUp" => {
            Fault { sandbox: json!({"faults": [{"op": "delete_file", "fault": "status_500"}]}), ..Fault::default() }
        }
        _ => return None,
    };
    Some(fault)
}

/// A rig whose only worker is scraped.
struct Watched {
    rig: Rig,
    http: Client,
    worker: String,
    page: String,
}

impl Watched {
    async fn start(limits: Value) -> anyhow::Result<Self> {
        let address = format!("127.0.0.1:{}", tests::rig::free_port()?);
        let settings = vec![("GRISTMILL_WORKER__LISTEN".to_owned(), address.clone())];
        let rig = start_with(RigOptions { settings, ..RigOptions::default() }, limits).await?;
        let http = Client::builder().no_proxy().tls_certs_only([]).timeout(LONG).build()?;
        let page = pages::one(PAGE)?.text;
        let watched = Self { rig, http, worker: format!("http://{address}"), page };
        let until = Instant::now() + LONG;
        while watched.scrape(&watched.worker).await.is_err() && Instant::now() < until {
            pause().await;
        }
        Ok(watched)
    }

    /// What the process at this address says: all of it documented, and nothing of a tenant or a job.
    async fn scrape(&self, url: &str) -> anyhow::Result<Scrape> {
        let reply = self.http.get(format!("{url}/metrics")).send().await?.error_for_status()?;
        let form = reply.headers()["content-type"].to_str()?;
        ensure!(form.starts_with("text/plain; version=0.0.4"), "{form}");
        let scrape = Scrape::parse(&reply.text().await?)?;
        let undocumented = scrape.names().find(|name| !self.page.contains(&format!("| `{name}` |")));
        ensure!(undocumented.is_none(), "{PAGE} does not tell of {undocumented:?}");
        let foreign = scrape.labels().find(|label| !LABELS.contains(label));
        ensure!(foreign.is_none(), "the label {foreign:?}");
        Ok(scrape)
    }

    /// What the worker and the API say when nothing is under way any more.
    async fn settled(&self) -> anyhow::Result<(Scrape, Scrape)> {
        let until = Instant::now() + LONG;
        loop {
            let (worker, api) = (self.scrape(&self.worker).await?, self.scrape(&self.rig.url).await?);
            if worker.names().all(|name| name != "gristmill_dispatches") && worker.names().eq(api.names()) {
                return Ok((worker, api));
            }
            ensure!(Instant::now() < until, "{worker:#?} {api:#?}");
            pause().await;
        }
    }

    /// Submits a job of these rows. It need not end.
    async fn submit(&self, fault: &Fault) -> anyhow::Result<()> {
        let marker = |row| if row == 0 { fault.marker } else { "" };
        let job = submission(&self.rig, "job", fault.rows, |row| format!("row {row} {}", marker(row)))?;
        support::submit(&self.rig, &job).await.map(drop)
    }

    /// Waits until an alert fires.
    async fn expect(&self, rule: &Rule, first: &Scrape) -> anyhow::Result<()> {
        let until = Instant::now() + LONG;
        loop {
            let now = self.scrape(&self.worker).await?;
            if holds(&rule.expr, first, &now)? {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("{} does not fire: {now:#?}\n{}", rule.alert, self.rig.logs());
            }
            pause().await;
        }
    }

    /// Goes on until it is dropped. It cuts the waits between tries to remove something short, which grow to minutes.
    async fn go_on(&self, fault: &Fault) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.rig.database_url).await?;
        let mut then = Some(&fault.then);
        loop {
            sqlx::query("UPDATE remote_objects SET run_at = now() WHERE failures > 0").execute(&mut connection).await?;
            if totals(&self.rig)?.batches.created > 1
                && let Some(then) = then.take()
            {
                patch_batches(&self.rig, then.clone()).await?;
            }
            pause().await;
        }
    }
}

async fn pause() {
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
}

/// Lets the fault happen, and waits for its alert.
async fn fires(alert: &str) -> anyhow::Result<()> {
    let rule = rules()?.into_iter().find(|rule| rule.alert == alert).context("no such alert")?;
    let fault = fault(alert).context("no such fault")?;
    let watched = Watched::start(fault.limits.clone()).await?;
    patch_batches(&watched.rig, fault.sandbox.clone()).await?;
    let first = watched.scrape(&watched.worker).await?;
    ensure!(!holds(&rule.expr, &first, &first)?, "{alert} fires before anything happened");
    watched.submit(&fault).await?;
    tokio::select! {
        fired = watched.expect(&rule, &first) => fired,
        Err(error) = watched.go_on(&fault) => Err(error),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_batch_past_its_window_fires() -> anyhow::Result<()> {
    fires("ProviderBatchPastItsWindow").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_batch_that_is_validated_for_ever_fires() -> anyhow::Result<()> {
    fires("ProviderBatchStuckInQueue").await
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_are_left_out_fire() -> anyhow::Result<()> {
    fires("ResultsMissing").await
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_are_nobody_s_fire() -> anyhow::Result<()> {
    fires("ResultsUnknown").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_full_of_what_does_not_end_fires() -> anyhow::Result<()> {
    fires("AllowanceExhausted").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_fires() -> anyhow::Result<()> {
    fires("LimitGroupPaused").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_create_and_a_list_that_fails_fire() -> anyhow::Result<()> {
    fires("CreateUnaccounted").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_create_that_is_listed_late_fires() -> anyhow::Result<()> {
    fires("DuplicateProviderBatch").await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_can_t_be_removed_fire() -> anyhow::Result<()> {
    fires("RemoteObjectsPileUp").await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_is_well_no_alert_fires_and_every_process_says_the_same() -> anyhow::Result<()> {
    let watched = Watched::start(eager_with(json!({"max_enqueued_tokens": 1_000_000}))).await?;
    let first = watched.scrape(&watched.worker).await?;
    run(&watched.rig, &submission(&watched.rig, "quiet", 2_500, |row| format!("row {row}"))?).await?;
    let (worker, api) = watched.settled().await?;
    for rule in rules()? {
        ensure!(!holds(&rule.expr, &first, &worker)?, "{} fires: {worker:#?}", rule.alert);
    }
    let ended = "gristmill_provider_batches_ended_total{status=\"done\"}";
    assert_eq!((first.value(ended)?, worker.value(ended)?, api.value(ended)?), (0.0, 1.0, 0.0));
    Ok(())
}

#[test]
fn every_alert_has_a_fault_that_fires_it_and_a_place_in_the_runbook() -> anyhow::Result<()> {
    let page = pages::one(PAGE)?.text;
    let rules = rules()?;
    ensure!(rules.len() > 5, "the alerts are gone");
    for Rule { alert, labels, annotations, .. } in rules {
        ensure!(fault(&alert).is_some(), "nothing fires {alert}");
        ensure!(labels.contains_key("severity") && !annotations.summary.is_empty(), "{alert}");
        // A heading's anchor is its text in lower case.
        assert_eq!(annotations.runbook, format!("{PAGE}#{}", alert.to_lowercase()));
        ensure!(page.contains(&format!("\n### {alert}\n")), "the runbook has nothing about {alert}");
    }
    Ok(())
}
