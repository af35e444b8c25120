//! The bare file loop: one thread that reads the CSV, writes request JSONL, reads result JSONL, and writes the merged Parquet.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use arrow::array::{ArrayRef, StringArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Deserialize;
use serde_json::json;

/// Rows of a row group.
const GROUP: usize = 2_000;

/// Writes the result file that a provider would have made of `rows` rows with answers of `answer_bytes`; not part of the loop.
pub fn write_results(path: &Path, rows: usize, answer_bytes: usize) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let filler = "gristmill grinds the grain ".repeat(answer_bytes / 27 + 1);
    for row in 0..rows {
        let content = format!("row {row} {}", &filler[..answer_bytes.saturating_sub(12)]);
        let line = json!({
            "id": format!("batch_req_{row}"), "custom_id": format!("dis_00000000000000000000000000-{row}"),
            "response": {"status_code": 200, "request_id": format!("req_{row:016x}"), "body": {
                "id": format!("chatcmpl-{row:016x}"), "object": "chat.completion", "created": 1, "model": "echo",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": content, "refusal": null}, "logprobs": null,
                    "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 250, "total_tokens": 253,
                    "prompt_tokens_details": {"cached_tokens": 0}},
            }},
            "error": null,
        });
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// The loop. Returns the bytes of the files that it wrote and read.
pub fn run(csv: &Path, requests: &Path, results: &Path, output: &Path) -> anyhow::Result<u64> {
    write_requests(csv, requests)?;
    merge(csv, results, output)?;
    [csv, requests, results, output].iter().map(|path| Ok(std::fs::metadata(path)?.len())).sum()
}

fn write_requests(csv: &Path, requests: &Path) -> anyhow::Result<()> {
    let mut reader = csv::Reader::from_path(csv)?;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(requests)?);
    let mut record = csv::StringRecord::new();
    let mut row = 0;
    while reader.read_record(&mut record)? {
        let text = record.get(1).context("a text")?;
        write!(
            out,
            r#"{{"custom_id":"dis_00000000000000000000000000-{row}","method":"POST","url":"/v1/chat/completions","body":{{"model":"echo","messages":[{{"role":"user","content":"#
        )?;
        serde_json::to_writer(&mut out, text)?;
        out.write_all(b"}]}}\n")?;
        row += 1;
    }
    Ok(out.flush()?)
}

#[derive(Deserialize)]
struct Line<'a> {
    custom_id: &'a str,
    response: Response<'a>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    body: Body<'a>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Message<'a>,
    finish_reason: &'a str,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// Rows that are gathered for one row group.
#[derive(Default)]
struct Group {
    ids: Vec<String>,
    texts: Vec<String>,
    answers: Vec<String>,
    finish_reasons: Vec<String>,
    input_tokens: Vec<u64>,
    output_tokens: Vec<u64>,
}

impl Group {
    fn into_batch(self) -> anyhow::Result<RecordBatch> {
        let text = |texts: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
        let count = |counts: Vec<u64>| -> ArrayRef { Arc::new(UInt64Array::from(counts)) };
        Ok(RecordBatch::try_from_iter([
            ("id", text(self.ids)),
            ("text", text(self.texts)),
            ("llm_response", text(self.answers)),
            ("llm_finish_reason", text(self.finish_reasons)),
            ("llm_input_tokens", count(self.input_tokens)),
            ("llm_output_tokens", count(self.output_tokens)),
        ])?)
    }
}

fn merge(csv: &Path, results: &Path, output: &Path) -> anyhow::Result<()> {
    let mut reader = csv::Reader::from_path(csv)?;
    let mut lines = BufReader::with_capacity(1 << 20, File::open(results)?);
    let (mut record, mut line) = (csv::StringRecord::new(), Vec::new());
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let schema = Group::default().into_batch()?.schema();
    let mut writer = ArrowWriter::try_new(File::create(output)?, schema, Some(properties))?;
    let mut group = Group::default();
    while reader.read_record(&mut record)? {
        line.clear();
        lines.read_until(b'\n', &mut line)?;
        let result: Line<'_> = serde_json::from_slice(&line)?;
        result.custom_id.rsplit('-').next().context("a row")?.parse::<u64>()?;
        let choice = result.response.body.choices.into_iter().next().context("a choice")?;
        group.ids.push(record[0].to_owned());
        group.texts.push(record[1].to_owned());
        group.answers.push(choice.message.content.into_owned());
        group.finish_reasons.push(choice.finish_reason.to_owned());
        group.input_tokens.push(result.response.body.usage.prompt_tokens);
        group.output_tokens.push(result.response.body.usage.completion_tokens);
        if group.ids.len() == GROUP {
            writer.write(&std::mem::take(&mut group).into_batch()?)?;
            writer.flush()?;
        }
    }
    writer.write(&group.into_batch()?)?;
    writer.close()?;
    Ok(())
}
