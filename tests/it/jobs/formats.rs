//! The example tables through the command line, into each format, on each store.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use client::api::NewGrant;
use serde_json::json;
use tests::{Rig, RigOptions, S3Server};

use crate::jobs::support::{LONG, assert_clean, echo, submit};
use crate::jobs::table::Table;

/// An input, and a prompt over two of its columns.
struct Example {
    name: &'static str,
    rows: usize,
    columns: [&'static str; 2],
}

const EXAMPLES: [Example; 3] = [
    Example { name: "movies.csv", rows: 3_201, columns: ["Title", "US Gross"] },
    Example { name: "movies.parquet", rows: 3_201, columns: ["Title", "US Gross"] },
    Example { name: "birdstrikes.csv", rows: 10_000, columns: ["Airport Name", "Wildlife Species"] },
];

const FORMATS: [&str; 2] = ["csv", "parquet"];

impl Example {
    fn bytes(&self) -> anyhow::Result<Bytes> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data");
        Ok(std::fs::read(data.join(self.name))?.into())
    }

    fn prompt(&self) -> String {
        let [first, second] = self.columns;
        format!("{{{{ row[\"{first}\"] }}}} / {{{{ row[\"{second}\"] }}}}")
    }

    /// The output is the input with each row's rendered prompt as its answer.
    fn assert_merged(&self, output: &Table) -> anyhow::Result<()> {
        let input = Table::read(self.name, self.bytes()?)?;
        assert_eq!(input.rows.len(), self.rows);
        output.assert_extends(&input, "llm_");
        for row in 0..self.rows {
            let [first, second] = self.columns.map(|column| input.text(row, column));
            assert_eq!(output.text(row, "llm_response"), format!("{first} / {second}"), "row {row}");
            assert_eq!(output.text(row, "llm_status"), "succeeded", "row {row}");
            assert_eq!(output.text(row, "llm_attempts"), "1", "row {row}");
        }
        Ok(())
    }
}

fn options(settings: Vec<(String, String)>) -> RigOptions {
    RigOptions {
        settings,
        workers: 2,
        realtime: json!({"max_concurrency": 128, "timeout_s": 30}),
        ..RigOptions::default()
    }
}

/// `gristmill run`, as a process that knows the service's address and a key.
fn run(rig: &Rig, example: &Example, input: &str, output: &str) -> anyhow::Result<Output> {
    Ok(Command::new(tests::process::binary()?)
        .args(["run", input, "--model", "sandbox/echo", "--prompt", &example.prompt(), "--output", output])
        .envs([("GRISTMILL_URL", &rig.url), ("GRISTMILL_API_KEY", &rig.api_key)])
        .output()?)
}

/// Runs a job and checks it; the id is that of the tenant's newest job.
async fn run_and_check(rig: &Rig, example: &Example, input: &str, output: &str) -> anyhow::Result<String> {
    let ended = run(rig, example, input, output)?;
    assert!(ended.status.success(), "{input} to {output}: {ended:?}\n{}", rig.logs());
    let jobs = rig.client.jobs(&client::api::JobFilter::default(), 1, None).await?;
    let job_id = jobs.data[0].id.clone();
    assert_clean(rig, &job_id)?;
    Ok(job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn example_tables_come_back_merged_from_files_to_files() -> anyhow::Result<()> {
    let rig = Rig::start(options(Vec::new())).await?;
    for example in &EXAMPLES {
        std::fs::write(rig.objects().join(example.name), example.bytes()?)?;
        for format in FORMATS {
            let output = format!("{}.out.{format}", example.name);
            run_and_check(&rig, example, &rig.uri(example.name), &rig.uri(&output)).await?;
            let bytes = std::fs::read(rig.objects().join(&output))?;
            example.assert_merged(&Table::read(&output, bytes.into())?)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn example_tables_come_back_merged_from_s3_to_s3() -> anyhow::Result<()> {
    let s3 = S3Server::start()?;
    let mut settings = s3.settings();
    settings.push(("GRISTMILL_WORK_URI".to_owned(), s3.uri("work")));
    let rig = Rig::start(options(settings)).await?;
    let uri_prefix = s3.uri("team/");
    let grant = NewGrant { uri_prefix, access: "read_write".to_owned(), credential: None };
    rig.admin.create_grant(&rig.tenant_id, &grant).await?;
    for example in &EXAMPLES {
        let input = format!("team/in/{}", example.name);
        s3.put(&input, example.bytes()?.into()).await?;
        for format in FORMATS {
            let output = format!("team/out/{}.{format}", example.name);
            run_and_check(&rig, example, &s3.uri(&input), &s3.uri(&output)).await?;
            example.assert_merged(&Table::read(&output, s3.get(&output).await?)?)?;
        }
    }
    output_kept_on_s3_is_fetched_into_a_file(&rig, &s3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn example_tables_come_back_merged_between_files_and_s3() -> anyhow::Result<()> {
    let s3 = S3Server::start()?;
    let rig = Rig::start(options(s3.settings())).await?;
    let grant = NewGrant { uri_prefix: s3.uri("team/"), access: "read_write".to_owned(), credential: None };
    rig.admin.create_grant(&rig.tenant_id, &grant).await?;
    let [csv, parquet, _] = &EXAMPLES;

    std::fs::write(rig.objects().join(csv.name), csv.bytes()?)?;
    let output = "team/out.parquet";
    run_and_check(&rig, csv, &rig.uri(csv.name), &s3.uri(output)).await?;
    csv.assert_merged(&Table::read(output, s3.get(output).await?)?)?;

    let input = format!("team/{}", parquet.name);
    s3.put(&input, parquet.bytes()?.into()).await?;
    let output = "out.csv";
    run_and_check(&rig, parquet, &s3.uri(&input), &rig.uri(output)).await?;
    parquet.assert_merged(&Table::read(output, std::fs::read(rig.objects().join(output))?.into())?)
}

/// Without an output's URI the service keeps the output below its work prefix, and sends readers to a signed URL.
async fn output_kept_on_s3_is_fetched_into_a_file(rig: &Rig, s3: &S3Server) -> anyhow::Result<()> {
    let example = &EXAMPLES[1];
    let file: PathBuf = rig.directory.path().join("fetched.csv");
    let input = s3.uri(&format!("team/in/{}", example.name));
    let job_id = run_and_check(rig, example, &input, &file.display().to_string()).await?;
    example.assert_merged(&Table::read("fetched.csv", std::fs::read(&file)?.into())?)?;
    let job = rig.client.job(&job_id, None).await?;
    assert_eq!((job.output.uri.as_deref(), job.output.bytes), (None, Some(std::fs::metadata(&file)?.len())));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_s_own_credential_opens_its_bucket() -> anyhow::Result<()> {
    let s3 = S3Server::start()?;
    s3.put("team/in.csv", b"id,text\n0,a\n1,b\n".to_vec()).await?;
    // The service itself knows where the bucket is and has no key to it.
    let mut settings = s3.settings();
    settings.retain(|(name, _)| !name.contains("KEY"));
    let rig = Rig::start(options(settings)).await?;
    let grant = |credential: &str| NewGrant {
        uri_prefix: s3.uri("team/"),
        access: "read_write".to_owned(),
        credential: Some(credential.to_owned()),
    };
    let wrong = json!({"access_key_id": S3Server::credential()["access_key_id"], "secret_access_key": "wrong"});
    rig.admin.put_credential("bucket", &wrong).await?;
    rig.admin.create_grant(&rig.tenant_id, &grant("bucket")).await?;
    let mut submission = echo(&rig, &s3.uri("team/in.csv"), "out.csv");
    submission.output.uri = Some(s3.uri("team/out.csv"));
    let refused = rig.client.submit(&submission, None).await.expect_err("the key is wrong");
    let code = refused.problem().and_then(|problem| problem.code.as_deref());
    assert_eq!((refused.status(), code), (Some(422), Some("input_access_denied")));

    rig.admin.put_credential("bucket", &S3Server::credential()).await?;
    let job_id = submit(&rig, &submission).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 2));
    let table = Table::read("out.csv", s3.get("team/out.csv").await?)?;
    assert_eq!(table.text(1, "llm_response"), "b");
    assert_clean(&rig, &job_id)
}
