//! Real tables, in and out of both formats on both stores, value by value.

use arrow::array::{Array, AsArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use dataset::chunk::ChunkInput;
use dataset::input::InputBatch;
use dataset::output::read_output;
use domain::format::Format;
use domain::outcome::Outcome;
use futures::TryStreamExt;

use crate::places::{Place, example};
use crate::support::{Opened, convert, outcomes, text_rows};

const FILES: [(&str, Format, usize); 3] = [
    ("movies.csv", Format::Csv, 3_201),
    ("movies.parquet", Format::Parquet, 3_201),
    ("birdstrikes.csv", Format::Csv, 10_000),
];

async fn round_trip(place: Place) {
    for (name, from, count) in FILES {
        for to in [Format::Csv, Format::Parquet, Format::Tsv] {
            let input = Opened::new(place.with(name, example(name)), from).await.expect("an input");
            let target = place.at(&format!("out/{name}.{}", to.extension()));
            let chunks = convert(&input, &target, to).await;
            let output = read_output(&target, to).await.expect("an output");
            let batches: Vec<InputBatch> = output.batches.try_collect().await.expect("rows");
            assert!(batches.iter().all(|batch| batch.row_errors.is_empty()));

            let expected = all(&chunks.iter().map(|chunk| (*chunk.rows).clone()).collect::<Vec<_>>());
            assert_eq!(expected.num_rows(), count);
            let merged = all(&batches.iter().map(|batch| batch.rows.clone()).collect::<Vec<_>>());
            assert_eq!(merged.num_rows(), count);
            check_inputs(name, to, &expected, &merged);
            check_answers(to, &chunks, &merged);
        }
    }
}

#[tokio::test]
async fn all_pairs_of_formats_keep_every_value_on_files() {
    round_trip(Place::file()).await;
}

#[tokio::test]
async fn all_pairs_of_formats_keep_every_value_on_s3() {
    round_trip(Place::s3().await).await;
}

fn all(batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(&batches[0].schema(), batches).expect("one table")
}

fn check_inputs(name: &str, to: Format, expected: &RecordBatch, merged: &RecordBatch) {
    let names: Vec<_> =
        merged.schema().fields().iter().take(expected.num_columns()).map(|field| field.name().clone()).collect();
    let expected_names: Vec<_> = expected.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, expected_names, "{name}");
    if name == "movies.parquet" && to != Format::Parquet {
        // The same table, made by another program.
        let reference = csv_cells(&example("movies.csv"));
        assert_eq!(cells(merged, expected.num_columns()), reference);
        return;
    }
    for column in 0..expected.num_columns() {
        let (expected, merged) = (expected.column(column), merged.column(column));
        assert_eq!(expected, merged, "{name} as {to:?}, column {column}");
    }
}

fn cells(rows: &RecordBatch, columns: usize) -> Vec<Vec<String>> {
    let cell = |row, column: usize| rows.column(column).as_string::<i32>().value(row).to_owned();
    (0..rows.num_rows()).map(|row| (0..columns).map(|column| cell(row, column)).collect()).collect()
}

fn csv_cells(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(bytes);
    reader.records().map(|record| record.expect("a record").iter().map(str::to_owned).collect()).collect()
}

/// Outcomes were made per chunk, by the row's offset in it.
fn check_answers(to: Format, chunks: &[ChunkInput], merged: &RecordBatch) {
    let expected: Vec<Outcome> = chunks.iter().flat_map(|chunk| outcomes(chunk.len())).collect();
    let column = |name: &str| merged.column_by_name(&format!("llm_{name}")).expect(name);
    let text = |name: &str, row: usize| {
        let column = column(name).as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned()).filter(|text| !text.is_empty())
    };
    for (row, outcome) in expected.iter().enumerate() {
        assert_eq!(text("response", row), outcome.response);
        assert_eq!(text("status", row).as_deref(), Some(outcome.status.name()));
        assert_eq!(text("error_code", row), outcome.error.as_ref().map(|error| error.code.clone()));
        assert_eq!(text("error", row), outcome.error.as_ref().map(|error| error.message.clone()));
        assert_eq!(text("model", row), outcome.model);
        assert_eq!(text("finish_reason", row), outcome.finish_reason);
        match to {
            Format::Csv | Format::Tsv => {
                assert_eq!(text("cost_usd", row), outcome.cost.map(|cost| cost.to_string()));
                assert_eq!(text("attempts", row), Some(outcome.attempts.to_string()));
            }
            Format::Jsonl => unreachable!("lines have tests of their own"),
            Format::Parquet => {
                let costs = column("cost_usd").as_primitive::<Decimal128Type>();
                assert_eq!(costs.is_valid(row).then(|| costs.value(row)), outcome.cost.map(|cost| i128::from(cost.0)));
                assert_eq!(column("attempts").as_primitive::<Int32Type>().value(row), outcome.attempts.cast_signed());
                let tokens = column("input_tokens").as_primitive::<Int64Type>();
                assert_eq!(tokens.is_valid(row), outcome.attempts > 0);
                let tokens = if tokens.is_valid(row) { tokens.value(row).cast_unsigned() } else { 0 };
                assert_eq!(tokens, outcome.usage.input_tokens);
            }
        }
    }
}

#[tokio::test]
async fn csv_to_csv_changes_no_cell() {
    let place = Place::file();
    for name in ["movies.csv", "birdstrikes.csv"] {
        let input = Opened::new(place.with(name, example(name)), Format::Csv).await.expect("an input");
        let read: Vec<Vec<String>> = text_rows(&input.all().await.expect("rows"))
            .into_iter()
            .map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
            .collect();
        assert_eq!(read, csv_cells(&example(name)));
    }
}
