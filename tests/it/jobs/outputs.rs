//! Where outputs go, and what of Parquet survives in them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray, ListArray,
    StringArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type};
use arrow::record_batch::RecordBatch;
use aws_lc_rs::digest::{SHA256, digest};
use client::api::{Client, IfExists, Submission};
use parquet::arrow::ArrowWriter;
use tests::{Rig, RigOptions};

use crate::jobs::support::{
    LONG, assert_clean, assert_conserved, assert_good_job_succeeds, code, echo, hexadecimal, output, submit,
};
use crate::jobs::table::{ADDED, Table, batches};

#[tokio::test(flavor = "multi_thread")]
async fn d8_an_output_is_replaced_only_where_that_was_asked_for() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let input = rig.write_rows("in.csv", (0..3).map(|row| format!("row {row}")))?;
    std::fs::write(rig.objects().join("out.csv"), "what was there")?;
    let mut submission = echo(&rig, &input, "out.csv");
    let refused = rig.client.submit(&submission, None).await.expect_err("an output is there");
    let code = refused.problem().and_then(|problem| problem.code.as_deref());
    assert_eq!((refused.status(), code), (Some(409), Some("output_exists")));
    assert_eq!(std::fs::read_to_string(rig.objects().join("out.csv"))?, "what was there");

    submission.output.if_exists = Some(IfExists::Replace);
    let job_id = submit(&rig, &submission).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!(job.status.name(), "completed");
    assert_conserved(&job, &output(&rig, "out.csv")?);
    assert_clean(&rig, &job_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_appeared_after_submit_is_not_overwritten() -> anyhow::Result<()> {
    let mut rig = Rig::start(RigOptions { workers: 0, ..RigOptions::default() }).await?;
    let input = rig.write_rows("in.csv", (0..3).map(|row| format!("row {row}")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    std::fs::write(rig.objects().join("out.csv"), "somebody else's")?;
    rig.add_worker()?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), code(job.error.as_ref())), ("failed", Some("output_exists")));
    assert_eq!(std::fs::read_to_string(rig.objects().join("out.csv"))?, "somebody else's");
    assert_good_job_succeeds(&rig, "after").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_without_a_place_is_read_through_the_service() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let input = rig.write_rows("in.csv", (0..50).map(|row| format!("row {row}")))?;
    for format in ["csv", "parquet"] {
        let mut submission = Submission::new(&input, "sandbox/echo", "{{ text }}");
        submission.output.format = Some(format.to_owned());
        submission.output.column_prefix = Some("x_".to_owned());
        let job_id = submit(&rig, &submission).await?;
        let job = rig.wait(&job_id, LONG).await?;
        let bytes = download(&rig.client, &job_id).await?;
        let sha256 = hexadecimal(digest(&SHA256, &bytes).as_ref());
        assert_eq!((job.output.bytes, job.output.sha256.as_deref()), (Some(bytes.len() as u64), Some(&*sha256)));
        assert_eq!(bytes, download(&rig.client, &job_id).await?);
        let table = Table::read(&format!("x.{format}"), bytes.into())?;
        table.assert_extends(&Table::read("in.csv", std::fs::read(rig.objects().join("in.csv"))?.into())?, "x_");
        assert_eq!(table.text(49, "x_response"), "row 49");
        assert_clean(&rig, &job_id)?;
    }
    Ok(())
}

async fn download(client: &Client, job_id: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    client.download(job_id, &mut bytes).await?;
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_parquet_passes_through_unchanged() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions::default()).await?;
    let input = wide_table()?;
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(rig.objects().join("in.parquet"))?, input.schema(), None)?;
    writer.write(&input)?;
    writer.close()?;
    let prompt =
        "{{ text }} {{ int8 }} {{ uint64 }} {{ float64 }} {{ bool }} {% for tag in list %}<{{ tag }}>{% endfor %}";
    let mut submission = Submission::new(&rig.uri("in.parquet"), "sandbox/echo", prompt);
    submission.output.uri = Some(rig.uri("out.parquet"));
    let job_id = submit(&rig, &submission).await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.succeeded), ("completed", 3));

    let found = batches(std::fs::read(rig.objects().join("out.parquet"))?.into())?;
    let found = concat_batches(&found[0].schema(), &found)?;
    assert_eq!(found.num_columns(), input.num_columns() + ADDED.len());
    for (position, field) in input.schema().fields().iter().enumerate() {
        assert_eq!(found.schema().field(position), field.as_ref());
        assert_eq!(found.column(position), input.column(position), "`{}`", field.name());
    }
    let answers = found.column_by_name("llm_response").expect("the answers");
    let expected = ["a \u{1f33e} -128 18446744073709551615 0.1 true <1><>", " 127 0 1e+300 false ", "c     <3>"];
    assert_eq!(answers.as_ref(), &StringArray::from(expected.to_vec()) as &dyn arrow::array::Array);
    assert_clean(&rig, &job_id)
}

/// Three rows of every type, with nulls, extremes and nesting.
fn wide_table() -> anyhow::Result<RecordBatch> {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        Some(vec![]),
        Some(vec![Some(3)]),
    ]);
    let x = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])) as ArrayRef;
    let y = Arc::new(StringArray::from(vec![None, Some("y"), Some("")])) as ArrayRef;
    let structure = StructArray::from(vec![
        (Arc::new(Field::new("x", DataType::Int32, true)), x),
        (Arc::new(Field::new("y", DataType::Utf8, true)), y),
    ]);
    let dictionary: DictionaryArray<Int32Type> = [Some("red"), None, Some("red")].into_iter().collect();
    let moments = vec![Some(1_700_000_000_123_456), None, Some(-1)];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from(vec![Some("a \u{1f33e}"), None, Some("c")]))),
        ("large_text", Arc::new(LargeStringArray::from(vec![Some(""), None, Some("c\0\n")]))),
        ("int8", Arc::new(Int8Array::from(vec![Some(i8::MIN), Some(i8::MAX), None]))),
        ("int16", Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), None]))),
        ("int32", Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), None]))),
        ("int64", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None]))),
        ("uint8", Arc::new(UInt8Array::from(vec![Some(u8::MAX), Some(0), None]))),
        ("uint16", Arc::new(UInt16Array::from(vec![Some(u16::MAX), Some(0), None]))),
        ("uint32", Arc::new(UInt32Array::from(vec![Some(u32::MAX), Some(0), None]))),
        ("uint64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(0), None]))),
        ("float32", Arc::new(Float32Array::from(vec![Some(0.1), Some(f32::INFINITY), None]))),
        ("float64", Arc::new(Float64Array::from(vec![Some(0.1), Some(1e300), None]))),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("binary", Arc::new(BinaryArray::from(vec![Some(b"\xff\0".as_slice()), None, Some(b"")]))),
        ("fixed", Arc::new(FixedSizeBinaryArray::try_from_iter([[1, 2], [3, 4], [5, 6]].iter())?)),
        ("date", Arc::new(Date32Array::from(vec![Some(20_000), Some(-1), None]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![Some(1), Some(86_399_999_999), None]))),
        ("moment", Arc::new(TimestampMicrosecondArray::from(moments).with_timezone("UTC"))),
        ("local_moment", Arc::new(TimestampMillisecondArray::from(vec![Some(0), None, Some(-1)]))),
        (
            "decimal",
            Arc::new(Decimal128Array::from(vec![Some(-12_345), None, Some(1)]).with_precision_and_scale(38, 2)?),
        ),
        ("list", Arc::new(list)),
        ("structure", Arc::new(structure)),
        ("dictionary", Arc::new(dictionary)),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))?)
}
