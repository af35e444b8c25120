//! Group F of the catalogue: what JSONL files are like.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use dataset::input::limits::MAX_ROW_BYTES;
use dataset::input::{InputBatch, InputError, InputSchema};
use dataset::json_lines::ColumnTypes;
use dataset::output::{IfExists, OutputColumns, assemble, read_output};
use dataset::row::Rows;
use domain::format::Format;
use domain::row::Cell;
use futures::TryStreamExt as _;
use serde_json::Value;

use crate::places::{Place, example};
use crate::support::{Opened, chunk, convert, ok, part, text_rows};

async fn open(place: &Place, text: impl Into<bytes::Bytes>) -> Result<Opened, InputError> {
    Opened::new(place.with("in.jsonl", text.into()), Format::Jsonl).await
}

async fn read(text: impl Into<bytes::Bytes>) -> Result<(Opened, Vec<InputBatch>), InputError> {
    let place = Place::file();
    let opened = open(&place, text).await?;
    let batches = opened.all().await?;
    Ok((opened, batches))
}

/// The lines as they came out, and the codes of the bad ones.
async fn lines(text: impl Into<bytes::Bytes>) -> (Vec<Option<String>>, Vec<(usize, String, String)>) {
    let (_, batches) = read(text).await.expect("rows");
    let mut errors = Vec::new();
    for batch in &batches {
        let number = usize::try_from(batch.first_row).expect("few rows");
        errors.extend(
            batch.row_errors.iter().map(|(row, error)| (number + row, error.code.clone(), error.message.clone())),
        );
    }
    (text_rows(&batches).into_iter().flatten().collect(), errors)
}

fn names(schema: &InputSchema) -> Vec<&str> {
    schema.column_names().collect()
}

#[tokio::test]
async fn f1_one_bad_line_is_one_bad_row() {
    let (lines, errors) = lines("{\"a\":1}\n{\"a\":}\n[1]\n7\n{\"a\":2}\n").await;
    assert_eq!(lines, [Some("{\"a\":1}".into()), None, None, None, Some("{\"a\":2}".into())]);
    let codes: Vec<_> = errors.iter().map(|(row, code, _)| (*row, code.as_str())).collect();
    assert_eq!(codes, [(1, "invalid_json"), (2, "invalid_json"), (3, "invalid_json")]);
    assert_eq!(errors[0].2, "line 2, column 6: expected value");
    let (_, batches) = read("{\"a\":\n{\"a\":1}\n").await.expect("the first line may be the bad one");
    assert_eq!(batches[0].row_errors.len(), 1);
}

#[tokio::test]
async fn f2_other_json_is_no_jsonl() {
    let many = format!("{{\n{}\"z\": 1}}", "\"a\": [1,\n 2],\n".repeat(200_000));
    for text in ["[{\"a\": 1}]", " \n[\n{\"a\": 1},\n{\"a\": 2}\n]\n", "{\n  \"a\": 1\n}\n", "a,b\n1,2\n", &many] {
        let error = read(text.to_owned()).await.expect_err("not JSONL");
        assert_eq!((error.code(), error.pointer()), ("not_jsonl", "/input/format"), "{error}");
    }
    assert_eq!(read("\n \r\n").await.expect_err("nothing").code(), "input_empty");
}

#[tokio::test]
async fn f3_blank_lines_line_ends_and_marks_are_tolerated() {
    let text = "\u{feff}\r\n{\"a\": 1}\r\n\n   \t\n  {\"a\": 2} \n\r\n{\"b\": 3}";
    let place = Place::file();
    let opened = open(&place, text).await.expect("an input");
    let batches = opened.all().await.expect("rows");
    assert_eq!(names(&opened.schema), ["a", "b"]);
    assert_eq!(
        text_rows(&batches).concat(),
        [Some("{\"a\": 1}".to_owned()), Some("{\"a\": 2}".to_owned()), Some("{\"b\": 3}".to_owned())]
    );
    for (row, cursor) in batches[0].cursors.iter().enumerate() {
        let rest = opened.batches(*cursor).await.expect("rows");
        assert_eq!(text_rows(&rest), text_rows(&batches)[row + 1..], "after row {row}");
    }
}

#[tokio::test]
async fn f4_a_line_beyond_the_limit_is_one_bad_row() {
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_ROW_BYTES));
    let fits = format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_ROW_BYTES - 9));
    let (lines, errors) = lines(format!("{{\"a\": 1}}\n{long}\n{fits}\n{long}")).await;
    assert_eq!(lines.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!(errors[0], (1, "line_too_large".into(), "line 2 is longer than 16 MiB".into()));
    assert_eq!((errors.len(), errors[1].0), (2, 3));
}

#[tokio::test]
async fn f5_odd_values_are_kept_or_refused() {
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let text = [
        "{\"a\": \"\\u0000 \\ud83d\\ude00\"}",
        "{\"a\": 1e999}",
        &deep,
        "{\"a\": 1, \"a\": 2}",
        "{\"a\": \"\\ud800\"}",
        "{\"a\": {\"b\": 1, \"b\": 2}}",
        "{\"a\": NaN}",
        "{\"a\": 'x'}",
    ]
    .join("\n");
    let (lines, errors) = lines(text).await;
    let bad: Vec<_> = errors.iter().map(|(row, ..)| *row).collect();
    assert_eq!(bad, [2, 3, 4, 6, 7]);
    assert!(errors.iter().all(|(_, code, _)| code == "invalid_json"));
    assert_eq!(lines.iter().flatten().count(), 3);
    let (_, errors) = self::lines(&b"{\"a\": 1}\n{\"a\": \"\xff\"}\n"[..]).await;
    assert_eq!(errors[0].1, "invalid_encoding");
}

const MIXED: &str = concat!(
    "{\"id\": 1, \"big\": 123456789012345678901234567890, \"mix\": 1, \"float\": 1, \"flag\": true, \"nested\": {\"a\":  [1]}}\n",
    "{\"id\": 9007199254740993, \"big\": 7, \"mix\": \"a\\nb\", \"float\": 2.50, \"flag\": null, \"new\": \"x\"}\n",
    "{\"id\": -3, \"exact\": 9007199254740993, \"flag\": false}\n",
    "not JSON\n",
    "{\"exact\": 0.5}\n",
);

/// As planning leaves it.
fn planned(schema: &InputSchema, batches: &[InputBatch]) -> InputSchema {
    let mut types = ColumnTypes::new(schema);
    for batch in batches {
        types.add(&batch.rows).expect("columns");
        types.add(&batch.rows).expect("seeing rows again changes nothing");
        let json = serde_json::to_string(&types).expect("JSON");
        assert_eq!(serde_json::from_str::<ColumnTypes>(&json).expect("types"), types);
    }
    InputSchema { columns: types.schema(), ..schema.clone() }
}

async fn convert_mixed(format: Format) -> (Place, OutputColumns) {
    let place = Place::file();
    let (opened, batches) = read(MIXED).await.expect("rows");
    let columns = OutputColumns::new(&planned(&opened.schema, &batches), "llm_").expect("no conflict");
    let parts = vec![part(format, &columns, &chunk(&opened.schema, &batches))];
    assemble(format, &columns, ok(parts), &place.at("out"), IfExists::Error).await.expect("an output");
    (place, columns)
}

#[tokio::test]
async fn f6_types_are_unified_without_loss() {
    let (place, _) = convert_mixed(Format::Parquet).await;
    let output = read_output(&place.at("out"), Format::Parquet).await.expect("an output");
    let batches: Vec<InputBatch> = output.batches.try_collect().await.expect("rows");
    let types: Vec<_> =
        output.schema.columns.fields()[..8].iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
    let expected = [
        ("id", DataType::Int64),
        ("big", DataType::Utf8),
        ("mix", DataType::Utf8),
        ("float", DataType::Float64),
        ("flag", DataType::Boolean),
        ("nested", DataType::Utf8),
        ("new", DataType::Utf8),
        ("exact", DataType::Utf8),
    ];
    assert_eq!(types, expected);
    let rows = &batches[0].rows;
    let column = |name: &str| rows.column_by_name(name).expect("a column");
    let texts = |name: &str| column(name).as_string::<i32>().iter().collect::<Vec<_>>();
    assert_eq!(
        column("id").as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
        [Some(1), Some(9_007_199_254_740_993), Some(-3), None, None]
    );
    assert_eq!(texts("big"), [Some("123456789012345678901234567890"), Some("7"), None, None, None]);
    assert_eq!(texts("mix"), [Some("1"), Some("a\nb"), None, None, None]);
    assert_eq!(
        column("float").as_primitive::<Float64Type>().iter().collect::<Vec<_>>(),
        [Some(1.0), Some(2.5), None, None, None]
    );
    assert_eq!(column("flag").as_boolean().iter().collect::<Vec<_>>(), [Some(true), None, Some(false), None, None]);
    assert_eq!(texts("nested")[0], Some("{\"a\":  [1]}"));
    assert_eq!(texts("exact"), [None, None, Some("9007199254740993"), None, Some("0.5")]);
}

#[tokio::test]
async fn f6_values_keep_their_text_in_csv_and_jsonl() {
    let (place, columns) = convert_mixed(Format::Csv).await;
    let bytes = place.read("out");
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    assert_eq!(reader.headers().expect("a header").iter().collect::<Vec<_>>(), columns.names().collect::<Vec<_>>());
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("records");
    let cells = |row: usize| rows[row].iter().take(8).collect::<Vec<_>>();
    assert_eq!(cells(0), ["1", "123456789012345678901234567890", "1", "1", "true", "{\"a\":  [1]}", "", ""]);
    assert_eq!(cells(1), ["9007199254740993", "7", "a\nb", "2.50", "", "", "x", ""]);
    assert_eq!(cells(3), [""; 8]);
    assert_eq!(&rows[3][9], "expired");

    let (place, _) = convert_mixed(Format::Jsonl).await;
    let output = String::from_utf8(place.read("out")).expect("text");
    let lines: Vec<&str> = output.lines().collect();
    for (line, before) in lines.iter().zip(MIXED.lines()) {
        let kept = before.strip_suffix('}').unwrap_or("{");
        assert!(line.starts_with(kept), "{line}");
        let value: Value = serde_json::from_str(line).expect("JSON");
        assert!(value["llm_status"].is_string());
    }
    let first: Value = serde_json::from_str(lines[0]).expect("JSON");
    assert_eq!(first["llm_response"], "answer 0: \"quoted\", two\nlines");
    assert_eq!((&first["llm_cost_usd"], &first["llm_attempts"]), (&"0.0015".into(), &1.into()));
    let last: Value = serde_json::from_str(lines[2]).expect("JSON");
    assert_eq!((&last["llm_response"], &last["llm_input_tokens"]), (&Value::Null, &Value::Null));
    assert_eq!(last["llm_error_code"], "template_error");
}

#[tokio::test]
async fn templates_see_the_values_of_their_line() {
    let (opened, batches) = read(MIXED).await.expect("rows");
    let schema = planned(&opened.schema, &batches);
    let rows = Rows::new(&schema);
    let batch = Arc::new(batches[0].rows.clone());
    let cell = |row, name: &str| {
        rows.row(&batch, row).cell(names(&schema).iter().position(|known| *known == name).expect(name))
    };
    assert_eq!(cell(0, "id"), Cell::Int(1));
    assert_eq!(cell(0, "big"), Cell::Text("123456789012345678901234567890".into()));
    assert_eq!(cell(0, "nested"), Cell::Object(vec![("a".into(), Cell::List(vec![Cell::Int(1)]))]));
    assert_eq!(cell(1, "mix"), Cell::Text("a\nb".into()));
    assert_eq!((cell(1, "flag"), cell(2, "big"), cell(3, "id")), (Cell::Null, Cell::Null, Cell::Null));
    assert_eq!(rows.row(&batch, 0).cell(99), Cell::Null);
}

#[tokio::test]
async fn names_that_no_table_can_have_are_refused() {
    for (line, code) in [("{\"\": 1}", "unsupported_schema"), ("{\"a\\u0000\": 1}", "unsupported_schema")] {
        assert_eq!(read(line).await.expect_err("a refusal").code(), code);
    }
    let many = (0..2_001).map(|name| format!("{{\"{name}\": 1}}\n")).collect::<Vec<_>>().concat();
    assert_eq!(read(many.clone()).await.expect_err("a refusal").code(), "too_many_columns");
    let (opened, batches) = read("{}\n".repeat(400_000) + &many).await.expect("names come late");
    let mut types = ColumnTypes::new(&opened.schema);
    let result = batches.iter().try_for_each(|batch| types.add(&batch.rows));
    assert_eq!(result.expect_err("too many").code(), "too_many_columns");
}

#[tokio::test]
async fn tables_become_lines_and_come_back() {
    let place = Place::file();
    for (name, format) in [("movies.csv", Format::Csv), ("movies.parquet", Format::Parquet)] {
        let input = Opened::new(place.with(name, example(name)), format).await.expect("an input");
        let lines = place.at(&format!("{name}.jsonl"));
        convert(&input, &lines, Format::Jsonl).await;
        let again = Opened::new(lines, Format::Jsonl).await.expect("an input");
        let batches = again.all().await.expect("rows");
        assert!(batches.iter().all(|batch| batch.row_errors.is_empty()));
        let schema = planned(&again.schema, &batches);
        assert_eq!(names(&schema)[..input.schema.columns.fields().len()], names(&input.schema));
        let types = |schema: &InputSchema| {
            schema.columns.fields().iter().take(16).map(|field| field.data_type().clone()).collect::<Vec<_>>()
        };
        assert_eq!(types(&schema), types(&input.schema), "{name}");
    }
}
