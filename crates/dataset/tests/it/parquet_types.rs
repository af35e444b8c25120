//! Every type of column passes through Parquet unchanged, and has one text in CSV.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::*;
use arrow::record_batch::RecordBatch;
use dataset::chunk;
use dataset::output::{IfExists, OutputColumns, assemble, read_output};
use dataset::row::Rows;
use domain::format::Format;
use domain::row::Cell;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;

use crate::places::Place;
use crate::support::{Opened, chunk as chunk_of, ok, part};

fn parquet(batch: &RecordBatch) -> bytes::Bytes {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
    writer.write(batch).expect("written");
    writer.into_inner().expect("closed").into()
}

/// A column's name, its rows (a value, null), and the value's text in CSV.
type Sample = (&'static str, ArrayRef, &'static str);

fn columns() -> Vec<Sample> {
    [plain(), times_and_decimals(), nested()].concat()
}

fn plain() -> Vec<Sample> {
    vec![
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None])), "true"),
        ("i8", Arc::new(Int8Array::from(vec![Some(-8), None])), "-8"),
        ("i16", Arc::new(Int16Array::from(vec![Some(-16), None])), "-16"),
        ("i32", Arc::new(Int32Array::from(vec![Some(-32), None])), "-32"),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None])), "-9223372036854775808"),
        ("u8", Arc::new(UInt8Array::from(vec![Some(8), None])), "8"),
        ("u16", Arc::new(UInt16Array::from(vec![Some(16), None])), "16"),
        ("u32", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None])), "4294967295"),
        ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])), "18446744073709551615"),
        ("f32", Arc::new(Float32Array::from(vec![Some(0.1), None])), "0.1"),
        ("f64", Arc::new(Float64Array::from(vec![Some(1e300), None])), "1e300"),
        ("text", Arc::new(StringArray::from(vec![Some("é, \"x\"\n"), None])), "é, \"x\"\n"),
        ("large text", Arc::new(LargeStringArray::from(vec![Some("x"), None])), "x"),
        (
            "view",
            Arc::new(StringViewArray::from(vec![Some("a text longer than twelve bytes"), None])),
            "a text longer than twelve bytes",
        ),
        ("binary", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\xff\x00"), None])), "ff00"),
        ("binary text", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"plain"), None])), "plain"),
        (
            "fixed",
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([1_u8, 2]), None].into_iter(), 2)
                    .expect("two"),
            ),
            "\u{1}\u{2}",
        ),
    ]
}

fn times_and_decimals() -> Vec<Sample> {
    let micros = 1_700_000_000_123_456;
    vec![
        ("date32", Arc::new(Date32Array::from(vec![Some(19_000), None])), "2022-01-08"),
        ("date64", Arc::new(Date64Array::from(vec![Some(19_000 * 86_400_000), None])), "2022-01-08T00:00:00"),
        ("time32", Arc::new(Time32MillisecondArray::from(vec![Some(3_723_004), None])), "01:02:03.004"),
        ("time64", Arc::new(Time64NanosecondArray::from(vec![Some(3_723_000_000_005), None])), "01:02:03.000000005"),
        ("ts s", Arc::new(TimestampSecondArray::from(vec![Some(1_700_000_000), None])), "2023-11-14T22:13:20"),
        (
            "ts ms",
            Arc::new(TimestampMillisecondArray::from(vec![Some(1_700_000_000_120), None])),
            "2023-11-14T22:13:20.120",
        ),
        ("ts us", Arc::new(TimestampMicrosecondArray::from(vec![Some(micros), None])), "2023-11-14T22:13:20.123456"),
        (
            "ts ns",
            Arc::new(TimestampNanosecondArray::from(vec![Some(micros * 1_000 + 7), None])),
            "2023-11-14T22:13:20.123456007",
        ),
        (
            "ts utc",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(micros), None]).with_timezone("UTC")),
            "2023-11-14T22:13:20.123456Z",
        ),
        (
            "ts zone",
            Arc::new(TimestampMillisecondArray::from(vec![Some(0), None]).with_timezone("Europe/Paris")),
            "1970-01-01T00:00:00Z",
        ),
        (
            "decimal",
            Arc::new(Decimal128Array::from(vec![Some(-12_345), None]).with_precision_and_scale(9, 2).expect("fits")),
            "-123.45",
        ),
        (
            "wide decimal",
            Arc::new(
                Decimal256Array::from(vec![Some(i256::from(5)), None]).with_precision_and_scale(60, 3).expect("fits"),
            ),
            "0.005",
        ),
        ("duration", Arc::new(DurationMillisecondArray::from(vec![Some(1_500), None])), "PT1.5S"),
        ("dictionary", Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("word"), None])), "word"),
    ]
}

fn nested() -> Vec<Sample> {
    let nested = Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b c", DataType::Utf8, true)]);
    let item = || Arc::new(Field::new("item", DataType::Int32, true));
    let numbers = || Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("k");
    map.values().append_value(7);
    map.append(true).expect("an entry");
    map.append(false).expect("a null");
    vec![
        (
            "list",
            Arc::new(ListArray::new(
                item(),
                OffsetBuffer::from_lengths([3, 0]),
                numbers(),
                Some(vec![true, false].into()),
            )),
            "[1,null,3]",
        ),
        (
            "large list",
            Arc::new(LargeListArray::new(
                item(),
                OffsetBuffer::from_lengths([3, 0]),
                numbers(),
                Some(vec![true, false].into()),
            )),
            "[1,null,3]",
        ),
        (
            "struct",
            Arc::new(StructArray::new(
                nested,
                vec![
                    Arc::new(Int32Array::from(vec![Some(1), None])),
                    Arc::new(StringArray::from(vec![Some("\"x\""), None])),
                ],
                Some(vec![true, false].into()),
            )),
            r#"{"a":1,"b c":"\"x\""}"#,
        ),
        ("map", Arc::new(map.finish()), r#"{"k":7}"#),
        ("null", Arc::new(NullArray::new(2)), ""),
    ]
}

fn types() -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns().into_iter().map(|(name, column, _)| (name, column, true)))
        .expect("a batch")
}

#[tokio::test]
async fn every_type_passes_through_parquet_unchanged() {
    let place = Place::file();
    let types = types();
    let input = Opened::new(place.with("types.parquet", parquet(&types)), Format::Parquet).await.expect("an input");
    assert_eq!(input.schema.columns, types.schema());
    let json = serde_json::to_string(&*input.schema).expect("JSON");
    assert_eq!(serde_json::from_str::<dataset::input::InputSchema>(&json).expect("a schema"), *input.schema);

    let batches = input.all().await.expect("rows");
    assert_eq!(batches[0].rows, types);
    let chunk = chunk_of(&input.schema, &batches);
    let chunk = chunk::decode(chunk::encode(&chunk).expect("bytes")).expect("a chunk");
    assert_eq!(*chunk.rows, types);

    let columns = OutputColumns::new(&input.schema, "llm_").expect("columns");
    let parts = vec![part(Format::Parquet, &columns, &chunk)];
    assemble(Format::Parquet, &columns, ok(parts), &place.at("out.parquet"), IfExists::Error).await.expect("an output");
    let output = read_output(&place.at("out.parquet"), Format::Parquet).await.expect("an output");
    assert_eq!(output.schema.columns, *columns.schema());
    let merged: Vec<_> = output.batches.try_collect().await.expect("rows");
    for (index, column) in types.columns().iter().enumerate() {
        assert_eq!(merged[0].rows.column(index), column, "{}", types.schema().field(index).name());
    }
}

#[tokio::test]
async fn every_type_has_its_text_in_csv() {
    let place = Place::file();
    let input = Opened::new(place.with("types.parquet", parquet(&types())), Format::Parquet).await.expect("an input");
    let chunk = chunk_of(&input.schema, &input.all().await.expect("rows"));
    let columns = OutputColumns::new(&input.schema, "llm_").expect("columns");
    assemble(
        Format::Csv,
        &columns,
        ok(vec![part(Format::Csv, &columns, &chunk)]),
        &place.at("out.csv"),
        IfExists::Error,
    )
    .await
    .expect("an output");
    let mut reader = csv::Reader::from_reader(std::io::Cursor::new(place.read("out.csv")));
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("records");
    for (index, (name, _, text)) in self::columns().into_iter().enumerate() {
        assert_eq!(&rows[0][index], text, "{name}");
        assert_eq!(&rows[1][index], "", "{name}");
    }
}

#[tokio::test]
async fn templates_see_values_as_they_are() {
    let place = Place::file();
    let types = types();
    let input = Opened::new(place.with("types.parquet", parquet(&types)), Format::Parquet).await.expect("an input");
    let chunk = chunk_of(&input.schema, &input.all().await.expect("rows"));
    let rows = Rows::new(&input.schema);
    let row = rows.row(&chunk.rows, 0);
    let cell = |name: &str| row.cell(types.schema().index_of(name).expect(name));
    assert_eq!(cell("bool"), Cell::Bool(true));
    assert_eq!(cell("u64"), Cell::UInt(u64::MAX));
    assert_eq!(cell("u8"), Cell::Int(8));
    assert_eq!(cell("f32"), Cell::Float(0.1));
    assert_eq!(cell("decimal"), Cell::Text("-123.45".into()));
    assert_eq!(cell("list"), Cell::List(vec![Cell::Int(1), Cell::Null, Cell::Int(3)]));
    assert_eq!(
        cell("struct"),
        Cell::Object(vec![("a".into(), Cell::Int(1)), ("b c".into(), Cell::Text("\"x\"".into()))])
    );
    assert_eq!(cell("map"), Cell::Object(vec![("k".into(), Cell::Int(7))]));
    let null = rows.row(&chunk.rows, 1);
    assert!((0..types.num_columns() + 5).all(|column| null.cell(column) == Cell::Null));
}
