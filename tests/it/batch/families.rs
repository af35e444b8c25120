//! One suite for every family with a batch API: the same job, the same faults, the same promises.

use serde_json::{Value, json};
use tests::{Rig, RigOptions};

use super::support::{LONG, eager, eager_with, patch_batches, run, start_with, submission, totals};
use crate::jobs::support::{assert_conserved, output};

/// A family: its driver, its path at the sandbox, and the options that it needs.
pub struct Family {
    driver: &'static str,
    path: &'static str,
    /// Rows that are tried in real time before the first provider batch.
    probes: u64,
    /// Whether its answers can say that the model refused.
    refuses: bool,
}

pub const ANTHROPIC: Family = Family { driver: "anthropic", path: "/anthropic", probes: 1, refuses: true };

const FAMILIES: [Family; 7] = [
    Family { driver: "openai", path: "/v1", probes: 0, refuses: true },
    Family { driver: "azure-openai", path: "/azure/openai/v1", probes: 0, refuses: true },
    Family { driver: "groq", path: "/groq/openai/v1", probes: 0, refuses: true },
    Family { driver: "mistral", path: "/mistral/v1", probes: 0, refuses: false },
    Family { driver: "together", path: "/together/v1", probes: 0, refuses: false },
    ANTHROPIC,
    Family { driver: "gemini", path: "/gemini/v1beta", probes: 1, refuses: true },
];

pub async fn rig(family: &Family, limits: Value) -> anyhow::Result<Rig> {
    let rig = start_with(RigOptions::default(), eager()).await?;
    let record = json!({
        "driver": family.driver, "base_url": format!("{}{}", rig.sandbox_url, family.path), "credential": "sandbox",
        "realtime": {"max_concurrency": 32, "timeout_s": 5}, "batch": limits,
    });
    rig.admin.put_provider("sandbox", &record).await?;
    let model = json!({
        "upstream_model": "echo", "max_output_tokens": 1000,
        "prices": {"input_per_mtok_usd": "1.00", "output_per_mtok_usd": "2.00"},
    });
    rig.admin.put_model("sandbox", "echo", &model).await?;
    Ok(rig)
}

/// What every family must do.
async fn conforms(family: &Family) -> anyhow::Result<()> {
    let driver = family.driver;
    let rig = rig(family, eager()).await?;
    // A lost create, a download that breaks off, and rows with faults of their own.
    let faults = json!([
        {"op": "create", "fault": "drop_after", "times": 1},
        {"op": "download", "fault": "truncate", "times": 1},
        {"op": "poll", "fault": "status_503", "times": 1},
    ]);
    patch_batches(&rig, json!({"list_lag_ms": 300, "complete_ms": 300, "faults": faults})).await?;
    let markers = [
        "",
        "",
        "[[sandbox:batch_missing times=1]]",
        "[[sandbox:status code=500 times=1]]",
        "[[sandbox:status code=400]]",
        "[[sandbox:refusal]]",
        "[[sandbox:length]]",
    ];
    // The first row is the one that is tried before.
    let text = |row: usize| format!("{row} {}", if row == 0 { "" } else { markers[row % markers.len()] });
    let job = run(&rig, &submission(&rig, driver, 420, text)?).await?;
    let table = output(&rig, &format!("{driver}.out.csv"))?;
    assert_conserved(&job, &table);
    let failed = if family.refuses { 120 } else { 60 };
    assert_eq!((job.counts.succeeded, job.counts.failed), (420 - failed, failed), "{driver}\n{}", rig.logs());
    for row in 1..420 {
        let status = (table.text(row, "llm_status"), table.text(row, "llm_error_code"));
        let expected = match row % markers.len() {
            4 => ("failed", "provider_rejected"),
            5 if family.refuses => ("failed", "refused"),
            _ => ("succeeded", ""),
        };
        assert_eq!((status.0.as_str(), status.1.as_str()), expected, "{driver}, row {row}");
        if matches!(row % markers.len(), 0..=3) {
            assert_eq!(table.text(row, "llm_response"), text(row), "{driver}");
        }
    }
    let totals = totals(&rig)?;
    assert_eq!(totals.batches.billed_again, 0, "{driver}: {totals:?}");
    assert_eq!(
        totals.billed_prompt_tokens, job.usage.input_tokens,
        "{driver}: all that is charged is booked, and no more"
    );
    assert_eq!(totals.billed - totals.batches.billed, family.probes, "{driver}: {totals:?}");
    assert_eq!(totals.batches.created, 2, "{driver}: one, and one of what came back: {totals:?}");
    Ok(())
}

/// Real time, on the same rig.
async fn answers_in_real_time(family: &Family) -> anyhow::Result<()> {
    let rig = rig(family, json!(null)).await?;
    let text = |row: usize| format!("{row} {}", if row % 10 == 3 { "[[sandbox:status code=500 times=1]]" } else { "" });
    let job = run(&rig, &submission(&rig, "real", 60, text)?).await?;
    assert_eq!((job.counts.succeeded, totals(&rig)?.batches.created), (60, 0), "{}", rig.logs());
    Ok(())
}

/// Cancelled, expired and whole-batch ends keep what is done.
async fn keeps_partial_results(family: &Family) -> anyhow::Result<()> {
    let driver = family.driver;
    let rig = rig(family, eager_with(json!({"window_s": 60}))).await?;
    patch_batches(&rig, json!({"outcomes": [{"outcome": "expire", "times": 1}, {"outcome": "cancel", "times": 1}]}))
        .await?;
    let job = run(&rig, &submission(&rig, driver, 200, |row| format!("{row}"))?).await?;
    assert_eq!(job.counts.succeeded, 200, "{driver}\n{}", rig.logs());
    assert_eq!((totals(&rig)?.billed, totals(&rig)?.batches.billed_again), (200, 0), "{driver}: {:?}", totals(&rig)?);
    Ok(())
}

/// What was uploaded and made is removed.
async fn cleans_up(family: &Family) -> anyhow::Result<()> {
    let rig = rig(family, eager()).await?;
    run(&rig, &submission(&rig, "clean", 100, |row| format!("{row}"))?).await?;
    let until = std::time::Instant::now() + LONG;
    while std::time::Instant::now() < until {
        let left = crate::faults::disturbed::select::<i64>(&rig, "SELECT count(*) FROM remote_objects").await;
        if left == Some(0) {
            let totals = totals(&rig)?;
            assert!(totals.batches.files_deleted >= totals.batches.files_uploaded, "{}: {totals:?}", family.driver);
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("{} keeps things at its provider", family.driver)
}

macro_rules! suite {
    ($($name:ident = $index:literal;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn conforms() -> anyhow::Result<()> {
                super::conforms(&FAMILIES[$index]).await
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn answers_in_real_time() -> anyhow::Result<()> {
                super::answers_in_real_time(&FAMILIES[$index]).await
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn keeps_partial_results() -> anyhow::Result<()> {
                super::keeps_partial_results(&FAMILIES[$index]).await
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn cleans_up() -> anyhow::Result<()> {
                super::cleans_up(&FAMILIES[$index]).await
            }
        }
    )*};
}

suite! {
    openai = 0;
    azure_openai = 1;
    groq = 2;
    mistral = 3;
    together = 4;
    anthropic = 5;
    gemini = 6;
}
