//! Group P of the catalogue: what Parquet files claim.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int32Array, ListArray, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use dataset::input::{InputBatch, InputError};
use domain::format::Format;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use crate::places::{Place, example};
use crate::support::Opened;

async fn read(bytes: impl Into<Bytes>) -> Result<Vec<InputBatch>, InputError> {
    let place = Place::file();
    Opened::new(place.with("in.parquet", bytes.into()), Format::Parquet).await?.all().await
}

async fn code(bytes: impl Into<Bytes>) -> &'static str {
    read(bytes).await.map(|batches| batches.len()).expect_err("a refusal").code()
}

fn write(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options).expect("a writer");
    writer.write(batch).expect("written");
    writer.into_inner().expect("closed")
}

fn numbers(rows: i32) -> RecordBatch {
    let texts: StringArray = (0..rows).map(|row| Some(format!("text {row}"))).collect();
    let columns = [("n", Arc::new(Int32Array::from_iter_values(0..rows)) as ArrayRef), ("t", Arc::new(texts))];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

fn small_groups(rows: i32) -> Vec<u8> {
    write(&numbers(rows), WriterProperties::builder().set_max_row_group_row_count(Some(4)).build())
}

#[tokio::test]
async fn every_cursor_gives_the_rows_that_follow() {
    let place = Place::file();
    let input =
        Opened::new(place.with("in.parquet", small_groups(10).into()), Format::Parquet).await.expect("an input");
    let all = input.all().await.expect("rows");
    assert_eq!(all.iter().map(|batch| batch.rows.num_rows()).collect::<Vec<_>>(), [4, 4, 2]);
    for cursor in all.iter().flat_map(|batch| &batch.cursors) {
        let rest = input.batches(*cursor).await.expect("rows");
        let rows: Vec<RecordBatch> = rest.iter().map(|batch| batch.rows.clone()).collect();
        let row = usize::try_from(cursor.row).expect("small");
        let rest = arrow::compute::concat_batches(&numbers(1).schema(), &rows).expect("rows");
        assert_eq!(rest.columns(), numbers(10).slice(row, 10 - row).columns(), "after row {row}");
    }
}

#[tokio::test]
async fn d7_a_replaced_input_is_not_read_on() {
    for place in [Place::file(), Place::s3().await] {
        let input =
            Opened::new(place.with("in.parquet", small_groups(10).into()), Format::Parquet).await.expect("an input");
        place.put("in.parquet", small_groups(9).into());
        assert_eq!(input.all().await.expect_err("changed").code(), "input_changed");
    }
}

#[tokio::test]
async fn d13_no_rows_is_empty() {
    assert_eq!(code(Bytes::new()).await, "input_empty");
    assert_eq!(code(small_groups(0)).await, "input_empty");
}

#[tokio::test]
async fn p1_what_is_not_parquet_is_refused() {
    let good = small_groups(10);
    let mut long = good.clone();
    let at = long.len() - 8;
    long[at..at + 4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    for bytes in [
        b"a,b\n1,2\n3,4\n5,6\n".to_vec(),
        b"PAR1".to_vec(),
        good[..good.len() - 1].to_vec(),
        good[good.len() / 2..].to_vec(),
        long,
    ] {
        assert_eq!(code(bytes).await, "invalid_parquet");
    }
    let mut encrypted = good;
    let end = encrypted.len();
    encrypted[end - 4..].copy_from_slice(b"PARE");
    assert_eq!(code(encrypted).await, "unsupported_parquet_feature");
}

/// A page header in Thrift's compact form: type, both sizes, and a data page's number of values.
fn page_header(uncompressed: u32, compressed: u32, values: u32) -> Vec<u8> {
    let mut header = vec![0x15, 0];
    for size in [uncompressed, compressed] {
        header.push(0x15);
        varint(&mut header, u64::from(size) << 1);
    }
    header.extend([0x2c, 0x15]);
    varint(&mut header, u64::from(values) << 1);
    header
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    let digit = |value: u64| value.to_le_bytes()[0];
    while value >= 0x80 {
        out.push(digit(value) | 0x80);
        value >>= 7;
    }
    out.push(digit(value));
}

#[tokio::test]
async fn p2_a_page_that_claims_gigabytes_is_refused_before_it_is_allocated() {
    let plain = WriterProperties::builder().set_dictionary_enabled(false).build();
    let good = write(&numbers(100), plain);
    let mut bytes = good.clone();
    let forged = page_header(0x7fff_fff0, 100, 100);
    bytes[4..4 + forged.len()].copy_from_slice(&forged);
    assert_eq!(code(bytes).await, "parquet_limit_page");
    let mut bytes = good;
    let forged = page_header(400, 0x00ff_ffff, 100);
    bytes[4..4 + forged.len()].copy_from_slice(&forged);
    assert_eq!(code(bytes).await, "invalid_parquet");
}

#[tokio::test]
async fn p2_a_row_that_claims_a_billion_elements_is_refused() {
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let list =
        ListArray::new(item, OffsetBuffer::from_lengths([100]), Arc::new(Int32Array::from_iter_values(0..100)), None);
    let batch = RecordBatch::try_from_iter([("list", Arc::new(list) as ArrayRef)]).expect("a batch");
    let mut bytes = write(&batch, WriterProperties::builder().set_dictionary_enabled(false).build());
    let forged = page_header(400, 100, 0x3fff_ffff);
    bytes[4..4 + forged.len()].copy_from_slice(&forged);
    assert_eq!(code(bytes).await, "parquet_limit_page");
}

#[tokio::test]
async fn p3_a_small_file_that_never_ends_is_refused() {
    let value = "x".repeat(512 << 10);
    let keys = Int32Array::from_iter_values(std::iter::repeat_n(0, 3_000));
    let column =
        DictionaryArray::<Int32Type>::try_new(keys, Arc::new(StringArray::from(vec![value]))).expect("a column");
    let batch = RecordBatch::try_from_iter([("t", Arc::new(column) as ArrayRef)]).expect("a batch");
    let snappy = WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY).build();
    let bytes = write(&batch, snappy);
    assert!(bytes.len() < 100_000, "{}", bytes.len());
    let place = Place::file();
    let input = Opened::new(place.with("in.parquet", bytes.into()), Format::Parquet).await.expect("an input");
    let stream =
        dataset::input::read(input.location.clone(), input.pinned.clone(), input.schema.clone(), input.schema.start());
    let end = futures::StreamExt::fold(stream, Ok(()), |_, batch| async move { batch.map(drop) }).await;
    assert_eq!(end.map_err(|error: InputError| error.code()), Err("decompression_limit"));
}

#[tokio::test]
async fn p4_too_many_columns_are_refused() {
    let fields: Vec<_> = (0..2_001).map(|column| Field::new(format!("c{column}"), DataType::Boolean, true)).collect();
    let batch = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
    assert_eq!(code(write(&batch, WriterProperties::default())).await, "too_many_columns");
}

#[tokio::test]
async fn p5_deep_schemas_are_refused() {
    // A footer by hand: a version, and a schema of nested groups without end. Decoders recurse over it.
    let mut footer = vec![0x15, 2, 0x19, 0xfc];
    varint(&mut footer, 5_000);
    for _ in 0..5_000 {
        footer.extend([0x48, 1, b'g', 0x15, 2, 0]);
    }
    footer.extend([0x16, 0, 0x19, 0x0c, 0]);
    let mut bytes = b"PAR1".to_vec();
    bytes.extend(&footer);
    bytes.extend(u32::try_from(footer.len()).expect("small").to_le_bytes());
    bytes.extend(b"PAR1");
    assert_eq!(code(bytes).await, "unsupported_schema");
}

#[tokio::test]
async fn two_columns_of_one_name_are_refused() {
    let fields = vec![Field::new("a", DataType::Boolean, true), Field::new("a", DataType::Boolean, true)];
    assert_eq!(
        code(write(&RecordBatch::new_empty(Arc::new(Schema::new(fields))), WriterProperties::default())).await,
        "unsupported_schema"
    );
}

#[tokio::test]
async fn p6_text_that_is_none_is_found() {
    let mut bytes = write(&numbers(100), WriterProperties::builder().set_dictionary_enabled(false).build());
    let at = bytes.windows(7).position(|window| window == b"text 77").expect("a cell");
    bytes[at] = 0xff;
    assert_eq!(code(bytes).await, "invalid_encoding");
}

#[tokio::test]
async fn p4_a_large_row_group_is_read_page_by_page() {
    let text = |row: i32| format!("{row} ").repeat(300_000);
    let columns = [
        ("n", Arc::new(Int32Array::from_iter_values(0..60)) as ArrayRef),
        ("t", Arc::new((0..60).map(|row| Some(text(row))).collect::<StringArray>())),
        ("u", Arc::new((0..60).map(|row| Some(text(100 + row))).collect::<StringArray>())),
    ];
    let plain = WriterProperties::builder().set_dictionary_enabled(false).set_max_row_group_bytes(None).build();
    let bytes = write(&RecordBatch::try_from_iter(columns).expect("a batch"), plain);
    assert!(bytes.len() > 100 << 20, "too large to be fetched at once");
    let batches = read(bytes).await.expect("rows");
    let mut row = 0;
    for batch in &batches {
        assert!(batch.rows.num_rows() < 8, "batches follow the size of the rows");
        let texts = batch.rows.column(2).as_string::<i32>();
        for cell in texts {
            assert!(cell == Some(text(100 + row).as_str()), "row {row}");
            row += 1;
        }
    }
    assert_eq!(row, 60);
}

#[tokio::test]
async fn p10_a_wrong_number_of_rows_is_found() {
    let mut bytes = small_groups(10);
    // The last `num_rows` of the footer that is 10, zigzag: the file's own comes right after the schema.
    let schema_end = bytes.windows(2).rposition(|pair| pair == [0x16, 20]).expect("the file's rows");
    bytes[schema_end + 1] = 22;
    assert_eq!(code(bytes).await, "row_count_mismatch");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever is broken, reading ends, with rows or with an error.
    #[test]
    fn p2_broken_bytes_end_in_an_answer(
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 1..6),
        footer in any::<bool>(),
    ) {
        let mut file = if footer { small_groups(40) } else { example("movies.parquet")[..].to_vec() };
        let length = if footer { file.len() } else { file.len() / 2 };
        let at = at.index(length - bytes.len());
        file[at..at + bytes.len()].copy_from_slice(&bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _ = runtime.block_on(read(file)).map_err(|error| error.code());
    }
}
