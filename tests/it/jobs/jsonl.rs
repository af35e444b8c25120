//! JSONL in and out.

use client::api::Submission;
use serde_json::{Value, json};
use tests::{Rig, RigOptions};

use crate::jobs::support::{LONG, assert_clean, assert_good_job_succeeds, code, outcome_of, output, requests, submit};

/// The objects of an output's lines.
pub fn lines(rig: &Rig, name: &str) -> anyhow::Result<Vec<Value>> {
    // What no double holds is beyond this reader.
    let text = std::fs::read_to_string(rig.objects().join(name))?.replace(": 1e999", ": null");
    text.lines().map(|line| serde_json::from_str(line).map_err(anyhow::Error::from)).collect()
}

fn submission(rig: &Rig, input: &str, output: &str, prompt: &str) -> Submission {
    let mut submission = Submission::new(&rig.uri(input), "sandbox/echo", prompt);
    submission.output.uri = Some(rig.uri(output));
    submission
}

/// Runs a job over these lines to its end, and checks it.
async fn run(rig: &Rig, text: &str, output: &str, prompt: &str) -> anyhow::Result<client::api::Job> {
    std::fs::write(rig.objects().join("in.jsonl"), text)?;
    let job_id = submit(rig, &submission(rig, "in.jsonl", output, prompt)).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!(job.status.name(), "completed", "{job:?}");
    assert_clean(rig, &job_id)?;
    Ok(job)
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_f4_f5_bad_lines_are_recorded_and_the_job_completes() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let deep = format!("{{\"text\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!("{{\"text\": \"{}\"}}", "x".repeat(17 << 20));
    let rows = [
        ("{\"text\": \"fine\"}", None),
        ("{\"text\": \"cut", Some("invalid_json")),
        ("[\"text\"]", Some("invalid_json")),
        (&deep, Some("invalid_json")),
        (&long, Some("line_too_large")),
        ("{\"text\": \"\\ud800\"}", Some("invalid_json")),
        ("{\"text\": 1, \"text\": 2}", Some("invalid_json")),
        ("{\"text\": \"nul \\u0000\"}", None),
        ("{\"text\": 1e999}", None),
        ("{\"other\": \"no text\"}", Some("prompt_empty")),
    ];
    let text = rows.map(|(line, _)| line).join("\n");
    for format in ["jsonl", "csv", "parquet"] {
        let out = format!("out.{format}");
        let job = run(&rig, &text, &out, "{{ text }}").await?;
        assert_eq!((job.counts.succeeded, job.counts.failed), (3, 7), "{format}");
        if format == "jsonl" {
            let found = lines(&rig, &out)?;
            for (found, (_, code)) in found.iter().zip(rows) {
                assert_eq!(found["llm_error_code"].as_str(), code, "{found}");
            }
            assert_eq!(found[7]["text"], "nul \0");
            assert_eq!(found[1].as_object().map(serde_json::Map::len), Some(10));
            let place = found[1]["llm_error"].as_str().unwrap_or_default();
            assert!(place.starts_with("line 2, column "), "{place}");
        } else {
            let found = output(&rig, &out)?;
            for (row, (_, code)) in rows.iter().enumerate() {
                assert_eq!(found.text(row, "llm_error_code"), code.unwrap_or_default(), "{format} {row}");
            }
            assert_eq!(found.text(8, "text"), "1e999");
            assert_eq!(found.text(8, "llm_response"), "1e999");
        }
    }
    assert_eq!(requests(&rig)?.len(), 9);
    assert_good_job_succeeds(&rig, "after").await
}

#[tokio::test(flavor = "multi_thread")]
async fn f2_other_json_is_refused_at_submit() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    for (name, text) in [
        ("array.jsonl", "[{\"text\": \"a\"},\n{\"text\": \"b\"}]\n"),
        ("pretty.jsonl", "{\n  \"text\": \"a\"\n}\n"),
        ("table.jsonl", "id,text\n1,a\n"),
    ] {
        std::fs::write(rig.objects().join(name), text)?;
        assert_eq!(outcome_of(&rig, &submission(&rig, name, "out.jsonl", "{{ text }}")).await?, "not_jsonl", "{name}");
    }
    assert_good_job_succeeds(&rig, "after").await
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_blank_lines_line_ends_and_marks_are_tolerated() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let text = "\u{feff}{\"text\": \"a\"}\r\n\r\n  \n{\"text\": \"b\"}\n\n{\"text\": \"c\"}";
    let job = run(&rig, text, "out.jsonl", "{{ text }}").await?;
    assert_eq!((job.counts.total, job.counts.succeeded), (Some(3), 3));
    let found: Vec<_> = lines(&rig, "out.jsonl")?.iter().map(|line| line["llm_response"].clone()).collect();
    assert_eq!(found, ["a", "b", "c"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_numbers_keep_their_text() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let text = concat!(
        "{\"id\":  123456789012345678901234567890, \"text\": \"a\", \"price\": 1.50, \"tags\": [1,  {\"x\": 1.50}], \"n\": 7}\n",
        "{\"id\": 9007199254740993, \"text\": \"b\", \"price\": 2, \"n\": null, \"late\": true}\n",
    );
    let prompt = "{{ text }} {{ id }} {{ n }} {{ tags[1].x }}";
    run(&rig, text, "out.jsonl", prompt).await?;
    let found = std::fs::read_to_string(rig.objects().join("out.jsonl"))?;
    for (line, before) in found.lines().zip(text.lines()) {
        assert!(line.starts_with(before.trim_end_matches('}')), "{line}");
    }
    assert_eq!(lines(&rig, "out.jsonl")?[0]["llm_response"], "a 123456789012345678901234567890 7 1.5");

    run(&rig, text, "out.csv", prompt).await?;
    let found = output(&rig, "out.csv")?;
    assert_eq!(&found.columns[..6], ["id", "text", "price", "tags", "n", "late"]);
    let row = |row| ["id", "price", "tags", "n", "late"].map(|name| found.text(row, name));
    assert_eq!(row(0), ["123456789012345678901234567890", "1.50", "[1,  {\"x\": 1.50}]", "7", ""]);
    assert_eq!(row(1), ["9007199254740993", "2", "", "", "true"]);

    run(&rig, text, "out.parquet", prompt).await?;
    let batches = crate::jobs::table::batches(std::fs::read(rig.objects().join("out.parquet"))?.into())?;
    let types: Vec<_> = batches[0].schema().fields()[..6].iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Utf8", "Utf8", "Float64", "Utf8", "Int64", "Boolean"]);
    Ok(())
}

/// Every pair of formats, with the same rows in between.
#[tokio::test(flavor = "multi_thread")]
async fn tables_become_lines_and_tables_again() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 2, ..RigOptions::default() }).await?;
    rig.write_rows("in.csv", (0..2_500).map(|row| format!("row \"{row}\"\n{{}}")))?;
    let mut previous = "in.csv".to_owned();
    let steps = ["jsonl", "jsonl", "parquet", "jsonl", "csv"];
    for (step, format) in steps.iter().enumerate() {
        let out = format!("out{step}.{format}");
        let mut submission = submission(&rig, &previous, &out, "{{ text }}");
        submission.output.column_prefix = Some(format!("s{step}_"));
        let job_id = submit(&rig, &submission).await?;
        let job = rig.wait(&job_id, LONG).await?;
        assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 2_500), "{out}: {job:?}");
        assert_clean(&rig, &job_id)?;
        previous = out;
    }
    let found = output(&rig, &previous)?;
    assert_eq!(found.columns.len(), 2 + 10 * steps.len());
    for row in 0..2_500 {
        let text = format!("row \"{row}\"\n{{}}");
        assert_eq!(found.text(row, "id"), row.to_string());
        for column in ["text", "s0_response", "s4_response"] {
            assert_eq!(found.text(row, column), text, "row {row}");
        }
    }
    Ok(())
}

/// A name that comes late may be that of an added column.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_name_that_is_an_added_column_s_fails_the_job() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let filler = "x".repeat(100_000);
    let line = |row| format!("{{\"text\": \"{row}\", \"filler\": \"{filler}\"}}\n");
    let mut text = (0..12).map(line).collect::<Vec<_>>().concat();
    text.push_str("{\"text\": \"last\", \"llm_status\": \"mine\"}\n");
    std::fs::write(rig.objects().join("in.jsonl"), text)?;
    for format in ["csv", "jsonl"] {
        let out = format!("out.{format}");
        let job_id = submit(&rig, &submission(&rig, "in.jsonl", &out, "{{ text }}")).await?;
        let job = rig.wait(&job_id, LONG).await?;
        assert_eq!(code(job.error.as_ref()), Some("column_conflict"), "{format}: {job:?}");
    }
    assert!(requests(&rig)?.is_empty());
    let refused = outcome_of(&rig, &submission(&rig, "in.jsonl", "out.jsonl", "{{ nothing }}")).await?;
    assert_eq!(refused, "template_unknown_variable");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_lines_are_read_through_the_command_line() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let text = (0..50).map(|row| json!({"text": format!("row {row}")}).to_string()).collect::<Vec<_>>().join("\n");
    let path = rig.objects().join("in.jsonl.zst");
    std::fs::write(&path, zstd::encode_all(text.as_bytes(), 1)?)?;
    let out = rig.objects().join("out.jsonl");
    let ended = tests::process::command()?
        .args(["run", &path.display().to_string(), "--model", "sandbox/echo", "--prompt", "{{ text }}", "--output"])
        .arg(&out)
        .envs([("GRISTMILL_URL", &rig.url), ("GRISTMILL_API_KEY", &rig.api_key)])
        .output()?;
    assert!(ended.status.success(), "{ended:?}");
    let found = lines(&rig, "out.jsonl")?;
    assert_eq!(found.len(), 50);
    assert_eq!((&found[49]["text"], &found[49]["llm_response"]), (&json!("row 49"), &json!("row 49")));
    Ok(())
}
