//! Compressed inputs.

use std::io::Write as _;

use client::api::Submission;
use flate2::write::GzEncoder;
use tests::{Rig, RigOptions};

use crate::jobs::support::{LONG, assert_clean, assert_good_job_succeeds, echo, outcome_of, output, requests, submit};

fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// Rows that do not compress well, so that the end of the file is not seen at submit.
fn table(rows: u64) -> String {
    let row = |id: u64| {
        let hash = (1..=8).map(|part| format!("{:016x}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_pow(part)));
        format!("{id},{}\n", hash.collect::<String>())
    };
    std::iter::once("id,text\n".to_owned()).chain((0..rows).map(row)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn e15_compressed_tables_come_back_as_if_they_were_not() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 2, ..RigOptions::default() }).await?;
    let text = table(3_000);
    for (name, bytes) in [
        ("in.csv.gz", gzip(text.as_bytes())?),
        ("in.csv.zst", zstd::encode_all(text.as_bytes(), 1)?),
        // Named for what it is not.
        ("in.csv", gzip(text.as_bytes())?),
    ] {
        std::fs::write(rig.objects().join(name), bytes)?;
        let out = format!("{name}.out.csv");
        let job_id = submit(&rig, &echo(&rig, &rig.uri(name), &out)).await?;
        let job = rig.wait(&job_id, LONG).await?;
        assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 3_000), "{name}");
        let output = output(&rig, &out)?;
        for (row, line) in text.lines().skip(1).enumerate() {
            let (id, text) = line.split_once(',').unwrap_or_default();
            assert_eq!(["id", "text", "llm_response"].map(|column| output.text(row, column)), [id, text, text]);
        }
        assert_clean(&rig, &job_id)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn e15_f10_p11_compressed_files_that_lie_fail_before_anything_is_sent() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let (short, long) = (gzip(b"id,text\n0,x\n")?, gzip(table(20_000).as_bytes())?);
    let blank_lines = zstd::encode_all(&vec![b'\n'; 16 << 20][..], 1)?;
    let bomb = [zstd::encode_all(&b"id,text\n0,x\n"[..], 1)?, blank_lines.repeat(40)].concat();
    let window = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x01, 0x00, 0x00];
    for (name, bytes, expected) in [
        ("twice.csv.gz", gzip(&short)?, "compression_mismatch"),
        ("plain.csv.gz", b"id,text\n0,x\n".to_vec(), "compression_mismatch"),
        ("junk.csv.gz", [&long[..], b"junk"].concat(), "compression_mismatch"),
        ("short.csv.gz", short[..short.len() - 4].to_vec(), "truncated_input"),
        ("long.csv.gz", long[..long.len() - 4].to_vec(), "truncated_input"),
        ("bomb.csv.zst", bomb, "decompression_limit"),
        ("window.csv.zst", window, "decompression_limit"),
    ] {
        std::fs::write(rig.objects().join(name), bytes)?;
        let mut submission = Submission::new(&rig.uri(name), "sandbox/echo", "{{ text }}");
        submission.output.uri = Some(rig.uri("out.csv"));
        assert_eq!(outcome_of(&rig, &submission).await?, expected, "{name}");
    }
    assert!(requests(&rig)?.is_empty() && !rig.objects().join("out.csv").exists());
    assert_good_job_succeeds(&rig, "after").await
}
