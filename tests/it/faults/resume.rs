//! Steps that go on where a killed worker left them.

use std::collections::BTreeMap;

use sqlx::{Connection as _, PgConnection};
use tests::{Rig, RigOptions};

use super::disturbed::{LONG, finish, select, until, write_rows};

async fn chunk_inputs(rig: &Rig) -> anyhow::Result<BTreeMap<i32, String>> {
    let mut connection = PgConnection::connect(&rig.database_url).await?;
    let rows: Vec<(i32, String)> =
        sqlx::query_as("SELECT chunk_no, input_path FROM chunks").fetch_all(&mut connection).await?;
    Ok(rows.into_iter().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_goes_on_after_the_chunks_that_are_committed() -> anyhow::Result<()> {
    let mut rig = Rig::start(RigOptions { sandbox_latency_ms: 20, ..RigOptions::default() }).await?;
    let job = rig.submit(&write_rows(&rig, ROWS)?, "out.csv").await?;
    let planned = kill_while_planning(&mut rig).await?;
    rig.wait_for(&job, LONG, |job| job.status.name() == "running").await?;
    let after = chunk_inputs(&rig).await?;
    assert_eq!(after.len(), 30);
    for (chunk_no, path) in &after {
        let epoch = if planned.contains_key(chunk_no) { 1 } else { 2 };
        assert!(path.ends_with(&format!("-e{epoch}.parquet")), "chunk {chunk_no}: {path}");
    }
    cancel_and_check(&rig, &job).await
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_of_compressed_lines_goes_on_and_forgets_no_column() -> anyhow::Result<()> {
    let mut rig = Rig::start(RigOptions { sandbox_latency_ms: 20, ..RigOptions::default() }).await?;
    let filler = "x".repeat(500);
    let line = |row: u64| match row {
        // Beyond the first lines, which are read at submit, and before the kill.
        4_000 => format!("{{\"id\": {row}, \"text\": \"{row}\", \"late\": 1, \"filler\": \"{filler}\"}}\n"),
        _ => format!("{{\"id\": {row}, \"text\": \"{row}\", \"filler\": \"{filler}\"}}\n"),
    };
    let text: String = (0..ROWS).map(line).collect();
    std::fs::write(rig.objects().join("in.jsonl.zst"), zstd::encode_all(text.as_bytes(), 1)?)?;
    let job = rig.submit(&rig.uri("in.jsonl.zst"), "out.csv").await?;
    kill_while_planning(&mut rig).await?;
    rig.wait_for(&job, LONG, |job| job.status.name() == "running").await?;
    assert_eq!(chunk_inputs(&rig).await?.len(), 30);
    cancel_and_check(&rig, &job).await?;
    let output = std::fs::read_to_string(rig.objects().join("out.csv"))?;
    assert!(output.starts_with("id,text,filler,late,llm_response,"), "{}", output.lines().next().unwrap_or_default());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_plan_of_requests_goes_on_and_forgets_no_id() -> anyhow::Result<()> {
    let mut rig = Rig::start(RigOptions::default()).await?;
    let line = |row: u64| {
        let id = if row == ROWS - 1 { 10 } else { row };
        let body = serde_json::json!({"model": "echo", "messages": [{"role": "user", "content": id.to_string()}]});
        let url = "/v1/chat/completions";
        let line = serde_json::json!({"custom_id": id.to_string(), "method": "POST", "url": url, "body": body});
        format!("{line}\n")
    };
    std::fs::write(rig.objects().join("in.jsonl"), (0..ROWS).map(line).collect::<String>())?;
    let mut submission = client::api::Submission::new(&rig.uri("in.jsonl"), "sandbox/echo", "");
    submission.input.format = Some("openai".to_owned());
    let job = rig.client.submit(&submission, None).await?.id.clone();
    kill_while_planning(&mut rig).await?;
    let ended = rig.wait(&job, LONG).await?;
    assert_eq!(ended.status.name(), "failed");
    let error = rig.client.job(&job, None).await?.json["error"].to_string();
    let rows = format!("row 10 and in row {}", ROWS - 1);
    assert!(error.contains("duplicate_custom_id") && error.contains(&rows), "{error}");
    Ok(())
}

/// Rows of an input that takes a while to be planned.
const ROWS: u64 = 60_000;

/// Kills and restarts the worker when some chunks are committed; returns those.
async fn kill_while_planning(rig: &mut Rig) -> anyhow::Result<BTreeMap<i32, String>> {
    until(rig, "chunks WHERE chunk_no = 3").await?;
    rig.workers[0].kill9()?;
    let planned = chunk_inputs(rig).await?;
    assert!(planned.len() < 30, "the plan had ended before the kill");
    assert!(planned.values().all(|path| path.ends_with("-e1.parquet")), "{planned:?}");
    rig.workers[0].restart()?;
    Ok(planned)
}

/// Running all rows is not these tests' business; that they are all there is.
async fn cancel_and_check(rig: &Rig, job: &str) -> anyhow::Result<()> {
    rig.client.cancel(job).await?;
    let ended = rig.wait(job, LONG).await?;
    assert_eq!((ended.status.name(), ended.counts.total, ended.counts.done()), ("cancelled", Some(ROWS), ROWS));
    let (clean, words) = rig.check(job)?;
    assert!(clean, "{words}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_the_output_is_assembled_changes_no_byte() -> anyhow::Result<()> {
    let mut rig = Rig::start(RigOptions::default()).await?;
    let rows = 2_500;
    let input = write_rows(&rig, rows)?;
    let mut jobs = vec![rig.submit(&input, "undisturbed.csv").await?];
    rig.wait(&jobs[0], LONG).await?;
    let mut met = 0;
    // The moment is short, so that a kill may come too late.
    for run in 0..20 {
        let job = rig.submit(&input, &format!("out-{run}.csv")).await?;
        until(
            &rig,
            "(SELECT state FROM jobs ORDER BY job_id DESC LIMIT 1) last WHERE state IN ('merging', 'completed')",
        )
        .await?;
        rig.workers[0].kill9()?;
        let state = select::<String>(&rig, "SELECT state FROM jobs ORDER BY job_id DESC LIMIT 1").await;
        met += i32::from(state.as_deref() == Some("merging"));
        rig.workers[0].restart()?;
        rig.wait(&job, LONG).await?;
        jobs.push(job);
        if met == 2 {
            break;
        }
    }
    assert!(met > 0, "no kill met a merge");
    // It compares all jobs' outputs.
    finish(&rig, &jobs, rows).await?;
    let undisturbed = std::fs::read(rig.objects().join("undisturbed.csv"))?;
    for run in 0..jobs.len() - 1 {
        assert_eq!(std::fs::read(rig.objects().join(format!("out-{run}.csv")))?, undisturbed);
    }
    Ok(())
}
