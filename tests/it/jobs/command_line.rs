//! The client half of the command line, as a process.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tests::{Rig, RigOptions};

use crate::jobs::support::wait_for_jobs;

fn command(rig: &Rig, arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(tests::process::binary()?);
    command.args(arguments).envs([("GRISTMILL_URL", &rig.url), ("GRISTMILL_API_KEY", &rig.api_key)]);
    Ok(command)
}

fn run(rig: &Rig, arguments: &[&str]) -> anyhow::Result<Output> {
    Ok(command(rig, arguments)?.output()?)
}

/// What a command that succeeds prints.
fn words(rig: &Rig, arguments: &[&str]) -> anyhow::Result<String> {
    let ended = run(rig, arguments)?;
    assert!(ended.status.success(), "{arguments:?}: {ended:?}");
    Ok(String::from_utf8(ended.stdout)?.trim_end().to_owned())
}

const JOB: [&str; 4] = ["--model", "sandbox/echo", "--prompt", "{{ text }}"];

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_be_led_by_commands_alone() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let input = rig.write_rows("in.csv", (0..3).map(|row| format!("row {row}")))?;
    let job_id = words(&rig, &[["submit", &input].as_slice(), &JOB].concat())?;
    assert!(job_id.starts_with("job_"), "{job_id}");
    words(&rig, &["watch", &job_id])?;
    let job: Value = serde_json::from_str(&words(&rig, &["status", &job_id, "--json"])?)?;
    assert_eq!((job["status"].as_str(), job["counts"]["succeeded"].as_u64()), (Some("completed"), Some(3)));
    assert!(words(&rig, &["list"])?.contains(&job_id));
    assert!(words(&rig, &["models"])?.contains("sandbox/echo"));
    let items = words(&rig, &["items", &job_id, "--json"])?;
    assert_eq!(items.lines().count(), 3, "{items}");
    let file = rig.directory.path().join("fetched.csv");
    words(&rig, &["output", &job_id, "--output", &file.display().to_string()])?;
    assert_eq!(std::fs::read_to_string(&file)?.lines().count(), 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_how_a_job_ended() -> anyhow::Result<()> {
    let mut rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let input = rig.write_rows("in.csv", ["fine", "[[sandbox:status code=400]]"].map(str::to_owned).into_iter())?;
    let output = rig.uri("out.csv");
    let arguments = [["run", &input, "--output", &output].as_slice(), &JOB].concat();
    let timed_out = run(&rig, &[arguments.as_slice(), &["--timeout", "1s"]].concat())?;
    assert_eq!(timed_out.status.code(), Some(5), "{timed_out:?}");
    let waiting = command(&rig, &arguments)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let jobs = wait_for_jobs(&rig, 2).await?;
    for job_id in &jobs {
        rig.client.cancel(job_id).await?;
    }
    let cancelled = waiting.wait_with_output()?;
    assert_eq!(cancelled.status.code(), Some(6), "{cancelled:?}");

    rig.add_worker()?;
    let with_failed_rows = run(&rig, &arguments)?;
    assert_eq!(with_failed_rows.status.code(), Some(3), "{with_failed_rows:?}");
    let refused = run(&rig, &arguments)?;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--if-exists replace"), "{refused:?}");
    assert_eq!(run(&rig, &["run", &input])?.status.code(), Some(2));
    let stranger = command(&rig, &["list"])?.env("GRISTMILL_API_KEY", "gm_nobody").output()?;
    assert_eq!(stranger.status.code(), Some(4), "{stranger:?}");
    std::fs::write(rig.objects().join("no_rows.csv"), "id,text\n")?;
    let failed = run(&rig, &[["run", &rig.uri("no_rows.csv")].as_slice(), &JOB].concat())?;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    Ok(())
}
