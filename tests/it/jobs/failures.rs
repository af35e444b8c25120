//! Rows that fail in every way that the sandbox knows, and failures that are nobody's row's fault.

use std::collections::HashMap;

use client::api::JobLimits;
use domain::money::Money;
use serde_json::json;
use tests::{Rig, RigOptions};

use crate::jobs::support::{LONG, assert_clean, assert_conserved, code, echo, output, patch_sandbox, requests, submit};
use crate::jobs::table::Table;

/// How often a row is tried where its failures count.
const MAX_ATTEMPTS: u32 = 3;

/// What becomes of a row.
enum Fate {
    /// Its own text, after so many attempts.
    Echoed(u32),
    /// Answered, by another text.
    Answered { text: Option<&'static str>, finish_reason: &'static str },
    /// Failed with the code, after so many attempts.
    Failed(&'static str, u32),
}

use Fate::{Answered, Echoed, Failed};

/// Attempts of a row that an outage makes and that do not count, at most.
const MOST_SPARED: u32 = 10;

/// Faults without `times` meet all attempts.
const FAULTS: [(&str, Fate); 57] = [
    ("status code=400", Failed("provider_rejected", 1)),
    ("status code=405", Failed("provider_rejected", 1)),
    ("status code=408", Failed("provider_timeout", MAX_ATTEMPTS)),
    ("status code=409", Failed("provider_conflict", MAX_ATTEMPTS)),
    ("status code=413", Failed("request_too_large", 1)),
    ("status code=418", Failed("provider_rejected", 1)),
    ("status code=422", Failed("provider_rejected", 1)),
    ("status code=500", Failed("provider_error", MAX_ATTEMPTS)),
    ("status code=502", Failed("provider_unavailable", MAX_ATTEMPTS)),
    ("status code=504", Failed("provider_unavailable", MAX_ATTEMPTS)),
    ("context_length", Failed("context_length_exceeded", 1)),
    ("timeout", Failed("provider_timeout", MAX_ATTEMPTS)),
    ("slow ms=60000", Failed("provider_timeout", MAX_ATTEMPTS)),
    ("drip ms=50", Failed("provider_timeout", MAX_ATTEMPTS)),
    ("drop_before", Failed("connection_lost", MAX_ATTEMPTS)),
    ("drop_after", Failed("connection_lost", MAX_ATTEMPTS)),
    ("reset_mid_body", Failed("connection_lost", MAX_ATTEMPTS)),
    ("html", Failed("invalid_provider_response", MAX_ATTEMPTS)),
    ("empty_body", Failed("invalid_provider_response", MAX_ATTEMPTS)),
    ("truncated_json", Failed("invalid_provider_response", MAX_ATTEMPTS)),
    ("wrong_type", Failed("invalid_provider_response", MAX_ATTEMPTS)),
    ("no_choices", Failed("invalid_provider_response", MAX_ATTEMPTS)),
    ("lone_surrogate", Failed("invalid_provider_response", MAX_ATTEMPTS)),
    ("endless", Failed("provider_response_too_large", MAX_ATTEMPTS)),
    ("oversized bytes=2000000", Failed("provider_response_too_large", MAX_ATTEMPTS)),
    ("refusal", Failed("refused", 1)),
    ("content_filter", Failed("refused", 1)),
    ("content_filter as=400", Failed("refused", 1)),
    ("no_such_fault", Failed("provider_rejected", 1)),
    ("slow ms=100", Echoed(1)),
    ("bad_content_type", Echoed(1)),
    ("no_usage", Echoed(1)),
    ("negative_usage", Echoed(1)),
    ("huge_usage", Echoed(1)),
    ("length", Answered { text: None, finish_reason: "length" }),
    ("nul", Answered { text: None, finish_reason: "stop" }),
    ("unicode", Answered { text: None, finish_reason: "stop" }),
    ("empty_content", Answered { text: Some(""), finish_reason: "stop" }),
    ("null_content", Answered { text: Some(""), finish_reason: "stop" }),
    ("tool_call", Answered { text: Some(""), finish_reason: "tool_calls" }),
    ("status code=500 times=1", Echoed(2)),
    ("status code=502 times=2", Echoed(3)),
    ("status code=503 times=6", Echoed(7)),
    ("status code=529 times=4", Echoed(5)),
    ("timeout times=1", Echoed(2)),
    ("drip ms=50 times=1", Echoed(2)),
    ("drop_before times=2", Echoed(3)),
    ("drop_after times=1", Echoed(2)),
    ("reset_mid_body times=1", Echoed(2)),
    ("html times=1", Echoed(2)),
    ("empty_body times=1", Echoed(2)),
    ("truncated_json times=1", Echoed(2)),
    ("rate_limit retry=none times=5", Echoed(6)),
    ("rate_limit retry=ms delay=0.2 times=1", Echoed(2)),
    ("rate_limit retry=garbage times=1", Echoed(2)),
    ("rate_limit retry=past times=1", Echoed(2)),
    ("rate_limit retry=date delay=1 times=1", Echoed(2)),
];

/// Faults whose charge is never told to the client.
const UNKNOWN_CHARGE: [&str; 9] = [
    "slow",
    "drop_after",
    "reset_mid_body",
    "truncated_json",
    "oversized",
    "lone_surrogate",
    "no_usage",
    "negative_usage",
    "huge_usage",
];

/// Between two rows with faults there is a sound one, as in an hour in which the provider works.
fn fault(row: usize) -> Option<&'static (&'static str, Fate)> {
    if row.is_multiple_of(2) { FAULTS.get(row / 2) } else { None }
}

fn text(row: usize) -> String {
    match fault(row) {
        Some((fault, _)) => format!("row {row} [[sandbox:{fault}]]"),
        None => format!("row {row}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_ends_with_its_own_error_and_the_others_succeed() -> anyhow::Result<()> {
    const ROWS: usize = 2 * FAULTS.len() + 20;
    let settings = vec![("GRISTMILL_WORKER__MAX_REPLY_BYTES".to_owned(), "1000000".to_owned())];
    let realtime = json!({"max_concurrency": 64, "timeout_s": 1});
    let rig = Rig::start(RigOptions { settings, realtime, ..RigOptions::default() }).await?;
    let input = rig.write_rows("in.csv", (0..ROWS).map(text))?;
    let mut submission = echo(&rig, &input, "out.csv");
    submission.limits = JobLimits { max_attempts: Some(MAX_ATTEMPTS) };
    let job_id = submit(&rig, &submission).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!(job.status.name(), "completed");

    let output = output(&rig, "out.csv")?;
    assert_conserved(&job, &output);
    let wrong: Vec<String> = (0..ROWS).filter_map(|row| check_row(&output, row).err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let failing = FAULTS.iter().filter(|(_, fate)| matches!(fate, Failed(..))).count();
    assert_eq!(job.counts.failed, failing as u64);
    assert_clean(&rig, &job_id)?;
    assert_usage_is_what_was_billed(&rig, &job, &output)
}

fn check_row(output: &Table, row: usize) -> Result<(), String> {
    let (fault, fate) = fault(row).unwrap_or(&("none", Echoed(1)));
    let column = |name: &str| output.text(row, &format!("llm_{name}"));
    let found = ["status", "error_code", "finish_reason", "attempts"].map(column);
    let attempts = match fate {
        Echoed(attempts) | Failed(_, attempts) => *attempts,
        Answered { .. } => 1,
    };
    let (status, error_code, finish_reason) = match fate {
        Echoed(_) => ("succeeded", "", "stop"),
        Answered { finish_reason, .. } => ("succeeded", "", *finish_reason),
        Failed(code, _) => ("failed", *code, ""),
    };
    let expected = [status, error_code, finish_reason, &attempts.to_string()];
    // So many rows that fail at once look like an outage, and attempts in one don't count.
    let spares = matches!(fate, Failed(_, MAX_ATTEMPTS)) && found[..3] == expected[..3];
    let made: u32 = column("attempts").parse().unwrap_or_default();
    if found != expected && !(spares && (attempts..=attempts + MOST_SPARED).contains(&made)) {
        return Err(format!("{fault}: {found:?} in place of {expected:?}: {}", column("error")));
    }
    let response = column("response");
    let sound = match fate {
        Echoed(_) => response == text(row),
        Answered { text: Some(expected), .. } => response == *expected,
        // Cut, or with something after it.
        Answered { text: None, .. } => response.starts_with(&text(row)[..3]) && response != text(row),
        Failed(..) => !column("error").is_empty(),
    };
    if sound { Ok(()) } else { Err(format!("{fault}: the response is {response:?}")) }
}

/// What the job says it used and cost is what the sandbox billed, as far as the sandbox has told.
fn assert_usage_is_what_was_billed(rig: &Rig, job: &client::api::Job, output: &Table) -> anyhow::Result<()> {
    let told = |request: &sandbox::log::Request<'_>| {
        request.billed && !request.fault.as_deref().is_some_and(|fault| UNKNOWN_CHARGE.contains(&fault))
    };
    let requests = requests(rig)?;
    // Of slow answers one came in time.
    let slow_in_time = FAULTS.iter().position(|(fault, _)| *fault == "slow ms=100").unwrap_or_default();
    let slow_in_time = text(2 * slow_in_time);
    let tokens = sandbox::count_tokens(&slow_in_time);
    let (mut input_tokens, mut output_tokens) = (tokens, tokens);
    for request in requests.iter().filter(|request| told(request)) {
        input_tokens += request.prompt_tokens;
        output_tokens += request.completion_tokens;
    }
    let cost =
        Money::from_usd(1).per_million_tokens(input_tokens) + Money::from_usd(2).per_million_tokens(output_tokens);
    assert_eq!((job.usage.input_tokens, job.usage.output_tokens), (input_tokens, output_tokens));
    assert_eq!(job.usage.cost_usd, Some(cost.to_string()));

    let attempts: usize = (0..output.rows.len()).map(|row| output.text(row, "llm_attempts").parse().unwrap_or(0)).sum();
    assert_eq!(requests.len(), attempts);
    for (row, (fault, _)) in FAULTS.iter().enumerate() {
        let unknown = ["no_usage", "negative_usage", "huge_usage"].contains(fault);
        assert_eq!(output.text(2 * row, "llm_cost_usd").is_empty(), unknown, "{fault}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_in_a_finish_reason_costs_one_call_and_spares_the_neighbours() -> anyhow::Result<()> {
    const ROWS: usize = 50;
    let rig = Rig::start(RigOptions::default()).await?;
    let odd = |row: usize| row % 10 == 3;
    let text = |row: usize| format!("row {row}{}", if odd(row) { " [[sandbox:nul_finish_reason]]" } else { "" });
    let input = rig.write_rows("in.csv", (0..ROWS).map(text))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", ROWS as u64));
    let output = output(&rig, "out.csv")?;
    assert_conserved(&job, &output);
    for row in 0..ROWS {
        assert_eq!(output.text(row, "llm_response"), text(row));
        assert_eq!(output.text(row, "llm_attempts"), "1", "row {row}");
        assert!(odd(row) || output.text(row, "llm_finish_reason") == "stop", "row {row}");
    }
    let requests = requests(&rig)?;
    assert_eq!(requests.len(), ROWS);
    assert_eq!(requests.iter().map(|request| request.prompt_tokens).sum::<u64>(), job.usage.input_tokens);
    assert_clean(&rig, &job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn key_level_failures_stop_the_limit_group_and_no_row() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    for (fault, reason) in [
        ("status code=401", "provider_auth_failed"),
        ("status code=403", "provider_auth_failed"),
        ("status code=404", "model_not_found"),
        ("insufficient_quota", "provider_quota_exhausted"),
    ] {
        patch_sandbox(&rig, &json!({"faults": [{"fault": fault, "fraction": 1.0, "sticky": true}]})).await?;
        let before = requests(&rig)?.len();
        let input = rig.write_rows("in.csv", (0..200).map(|row| format!("{fault} {row}")))?;
        let mut submission = echo(&rig, &input, "out.csv");
        submission.output.if_exists = Some(client::api::IfExists::Replace);
        let job_id = submit(&rig, &submission).await?;
        let waiting = rig.wait_for(&job_id, LONG, |job| job.status_reason.is_some()).await?;
        assert_eq!(code(waiting.status_reason.as_ref()), Some(reason), "{fault}");
        assert_eq!((waiting.status.name(), waiting.counts.failed), ("running", 0), "{fault}");
        // The first calls found it at once, and probes since.
        assert!(requests(&rig)?.len() - before < 100, "{fault}: it goes on sending");

        patch_sandbox(&rig, &json!({"faults": []})).await?;
        let job = rig.wait(&job_id, LONG).await?;
        assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 200), "{fault}");
        assert_eq!(job.status_reason, None);
        assert_clean(&rig, &job_id)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_a_lower_bound() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let least_ms = [("seconds delay=2", 2_000), ("ms delay=0.7", 700), ("date delay=2", 1_000)];
    for (retry, least_ms) in least_ms {
        let text = format!("one row [[sandbox:rate_limit retry={retry} times=1]]");
        let input = rig.write_rows("in.csv", std::iter::once(text))?;
        let mut submission = echo(&rig, &input, "out.csv");
        submission.output.if_exists = Some(client::api::IfExists::Replace);
        let before = requests(&rig)?.len();
        let job = rig.wait(&submit(&rig, &submission).await?, LONG).await?;
        assert_eq!(job.counts.succeeded, 1);
        let arrivals: Vec<u64> = requests(&rig)?[before..].iter().map(|request| request.at_ms).collect();
        assert_eq!(arrivals.len(), 2, "{retry}");
        for pair in arrivals.windows(2) {
            assert!(pair[1] - pair[0] >= least_ms, "{retry}: {arrivals:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_of_a_row_are_listed_in_order() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let input =
        rig.write_rows("in.csv", ["fine", "[[sandbox:status code=500 times=2]]"].map(str::to_owned).into_iter())?;
    let job_id = rig.submit(&input, "out.csv").await?;
    rig.wait(&job_id, LONG).await?;
    let item = rig.client.item(&job_id, 1).await?;
    let log = item.json["attempts_log"].as_array().cloned().unwrap_or_default();
    let found: Vec<_> =
        log.iter().map(|attempt| (attempt["attempt"].as_u64(), attempt["error_code"].as_str())).collect();
    assert_eq!(found, [(Some(1), Some("provider_error")), (Some(2), Some("provider_error"))]);
    let statuses: HashMap<_, usize> = log.iter().fold(HashMap::new(), |mut counts, attempt| {
        *counts.entry(attempt["http_status"].as_u64()).or_default() += 1;
        counts
    });
    assert_eq!(statuses, HashMap::from([(Some(500), 2)]));
    assert_eq!((item.status.as_str(), item.attempts.as_u64()), ("succeeded", Some(3)));
    Ok(())
}
