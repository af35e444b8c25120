//! Group E of the catalogue: what CSV files are like.

use dataset::input::limits::{MAX_COLUMNS, MAX_ROW_BYTES};
use dataset::input::{InputBatch, InputError, ReadOptions};
use domain::format::Format;

use crate::places::Place;
use crate::support::{Opened, read_csv, text_rows};

fn cells(rows: &[&[&str]]) -> Vec<Vec<Option<String>>> {
    rows.iter().map(|row| row.iter().map(|cell| Some((*cell).to_owned())).collect()).collect()
}

fn errors(batches: &[InputBatch]) -> Vec<(u64, &str)> {
    let rows = |batch: &InputBatch| batch.first_row;
    batches
        .iter()
        .flat_map(|batch| {
            batch.row_errors.iter().map(move |(row, error)| (rows(batch) + *row as u64, error.code.as_str()))
        })
        .collect()
}

async fn refused(text: impl Into<bytes::Bytes>) -> InputError {
    read_csv(text).await.expect_err("a refusal")
}

#[tokio::test]
async fn e1_a_byte_order_mark_is_no_part_of_the_first_name() {
    let place = Place::file();
    let input =
        Opened::new(place.with("in.csv", "\u{feff}id,body\n1,x\n".into()), Format::Csv).await.expect("an input");
    assert_eq!(input.schema.column_names().collect::<Vec<_>>(), ["id", "body"]);
    assert_eq!(text_rows(&input.all().await.expect("rows")), cells(&[&["1", "x"]]));
}

#[tokio::test]
async fn e1_a_mark_inside_the_file_is_text() {
    let rows = read_csv("id,body\n\u{feff}1,x\n\u{feff}2,y\n").await.expect("rows");
    assert_eq!(text_rows(&rows), cells(&[&["\u{feff}1", "x"], &["\u{feff}2", "y"]]));
}

#[tokio::test]
async fn e2_other_encodings_are_refused_or_marked() {
    assert_eq!(refused(&b"\xff\xfei\0d\0\n\0"[..]).await.code(), "invalid_encoding");
    assert_eq!(refused(&b"i\0d\0\n\x001\0\n\0"[..]).await.code(), "invalid_encoding");
    assert!(matches!(refused(&b"id,caf\xe9\n1,2\n"[..]).await, InputError::InvalidEncoding { offset: 6 }));

    let batches = read_csv(&b"id,body\n1,caf\xe9\n2,caf\xc3\xa9\n"[..]).await.expect("rows");
    assert_eq!(errors(&batches), [(0, "invalid_encoding")]);
    assert_eq!(text_rows(&batches), [vec![Some("1".into()), None], vec![Some("2".into()), Some("café".into())]]);
}

#[tokio::test]
async fn e2_a_character_cut_by_a_delimiter_is_no_text() {
    let batches = read_csv(&b"a,b\n\xc3,\xa9\n"[..]).await.expect("rows");
    assert_eq!(errors(&batches), [(0, "invalid_encoding")]);
}

#[tokio::test]
async fn e3_quotes_and_line_ends_of_all_kinds() {
    let text = "id,body\r\n1,\"two\nlines\"\n2,\"a \"\"word\"\"\"\r\n\"3\",\"x\r\ny, z\"\n4,last";
    let batches = read_csv(text).await.expect("rows");
    let expected: &[&[&str]] = &[&["1", "two\nlines"], &["2", "a \"word\""], &["3", "x\r\ny, z"], &["4", "last"]];
    assert_eq!(text_rows(&batches), cells(expected));
    assert_eq!(batches[0].first_row, 0);
    let lines: Vec<u64> = batches[0].cursors.iter().map(|cursor| cursor.line).collect();
    assert_eq!(lines, [4, 4, 7, 7], "a cursor stands where its record ended");
}

#[tokio::test]
async fn e4_an_unterminated_quote_names_the_line_where_it_opens() {
    let mut text = String::from("id,body\n1,x\n2,\"open\n");
    while text.len() < 2 * MAX_ROW_BYTES {
        text.push_str("3,more and more and more and more and more and more\n");
    }
    assert!(matches!(refused(text).await, InputError::UnterminatedQuote { line: 3 }));
    assert!(matches!(refused("id,\"body\n1,2\n").await, InputError::UnterminatedQuote { line: 1 }));
}

#[tokio::test]
async fn e5_ragged_rows_keep_their_cells_and_say_how_many() {
    let batches = read_csv("a,b,c\n1,2,3\n4,5\n6,7,8,9\n10,11,12\n").await.expect("rows");
    assert_eq!(errors(&batches), [(1, "csv_field_count"), (2, "csv_field_count")]);
    let messages: Vec<_> = batches[0].row_errors.iter().map(|(_, error)| error.message.as_str()).collect();
    assert_eq!(
        messages,
        ["the row at line 3 has 2 cells; the header has 3", "the row at line 4 has 4 cells; the header has 3"]
    );
    let mut expected = cells(&[&["1", "2", "3"], &["4", "5", ""], &["6", "7", "8"], &["10", "11", "12"]]);
    expected[1][2] = None;
    assert_eq!(text_rows(&batches), expected);
}

#[tokio::test]
async fn e5_a_row_with_very_many_cells_is_counted() {
    let text = format!("a,b\n1{}\n2,3\n", ",x".repeat(100_000));
    let batches = read_csv(text).await.expect("rows");
    assert_eq!(batches[0].row_errors[0].1.message, "the row at line 2 has 100001 cells; the header has 2");
    assert_eq!(text_rows(&batches), cells(&[&["1", "x"], &["2", "3"]]));
}

#[tokio::test]
async fn e6_names_must_tell_columns_apart() {
    assert!(matches!(refused("id,body,id\n1,2,3\n").await, InputError::DuplicateHeader { first: 1, second: 3, .. }));
    assert!(matches!(refused("id,,x\n1,2,3\n").await, InputError::EmptyHeader { column: 2 }));
    assert!(matches!(refused("id, ,x\n1,2,3\n").await, InputError::EmptyHeader { column: 2 }));
}

#[tokio::test]
async fn e7_a_header_alone_is_empty_and_blank_lines_are_skipped() {
    for text in ["", "\n\n", "id,body", "id,body\n", "id,body\n\r\n\n", "\u{feff}"] {
        assert_eq!(refused(text).await.code(), "input_empty", "{text:?}");
    }
    let batches = read_csv("\n\nid,body\n\n1,x\n\r\n\n2,y\n# 3,z\n\n").await.expect("rows");
    assert_eq!(text_rows(&batches), cells(&[&["1", "x"], &["2", "y"], &["# 3", "z"]]));
    assert_eq!(errors(&batches), []);
}

#[tokio::test]
async fn e8_another_delimiter_is_suggested_and_can_be_given() {
    assert!(matches!(refused("id;body\n1;x, y\n").await, InputError::HeaderMismatch { suggestion: b';', count: 2 }));
    assert!(matches!(refused("id\tbody\n1\tx\n").await, InputError::HeaderMismatch { suggestion: b'\t', .. }));
    assert_eq!(text_rows(&read_csv("id;not\n1\n").await.expect("one column")), cells(&[&["1"]]));

    let place = Place::file();
    let options = ReadOptions { format: Format::Csv, delimiter: Some(b';') };
    let input = Opened::new(place.with("in.csv", "id;body\n1;x, y\n".into()), options).await.expect("an input");
    assert_eq!(text_rows(&input.all().await.expect("rows")), cells(&[&["1", "x, y"]]));
}

#[tokio::test]
async fn e9_nul_is_kept() {
    assert_eq!(text_rows(&read_csv("id,body\n1,a\0b\n").await.expect("rows")), cells(&[&["1", "a\0b"]]));
}

#[tokio::test]
async fn e10_a_huge_row_is_one_bad_row() {
    let text = format!("id,body\n1,x\n2,\"{}\"\n3,y\n", "z".repeat(MAX_ROW_BYTES + 1));
    let batches = read_csv(text).await.expect("rows");
    assert_eq!(errors(&batches), [(1, "cell_too_large")]);
    assert_eq!(
        text_rows(&batches),
        [vec![Some("1".into()), Some("x".into())], vec![None, None], vec![Some("3".into()), Some("y".into())]]
    );
}

#[tokio::test]
async fn e10_too_many_columns_are_refused() {
    let names: Vec<String> = (0..20_000).map(|column| format!("c{column}")).collect();
    let error = refused(format!("{}\n", names.join(","))).await;
    assert!(matches!(error, InputError::TooManyColumns { found: 20_000, limit: MAX_COLUMNS }), "{error}");
    assert_eq!(refused(format!("{}\n1,2\n", "x".repeat(2 << 20))).await.code(), "cell_too_large");
}

#[tokio::test]
async fn e14_what_looks_like_a_number_stays_text() {
    let row = ["001", "NaN", "null", "1e5", "TRUE", " x ", ""];
    let batches = read_csv(format!("a,b,c,d,e,f,g\n{}\n", row.join(","))).await.expect("rows");
    assert_eq!(text_rows(&batches), cells(&[&row]));
}

#[tokio::test]
async fn batches_are_bounded_in_rows_and_bytes() {
    let mut text = String::from("id,body\n");
    text.push_str(&"1,x\n".repeat(3_000));
    text.push_str(&format!("2,{}\n", "y".repeat(1 << 20)).repeat(9));
    let batches = read_csv(text).await.expect("rows");
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.rows.num_rows()).collect();
    assert_eq!(sizes, [1024, 1024, 956, 4, 1], "{sizes:?}");
}
