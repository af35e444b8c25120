//! Reading on from a cursor.

use dataset::input::Cursor;
use domain::format::Format;

use crate::places::Place;
use crate::support::{Opened, text_rows};

#[tokio::test]
async fn every_cursor_gives_the_rows_that_follow() {
    let text = "\u{feff}id,body\r\n\r\n1,\"two\r\nlines\"\r\n\u{feff}2,x\n\n3,ragged,row\r\n4,\"\"\"\"\n5,é\r\n6,last";
    let place = Place::file();
    let input = Opened::new(place.with("in.csv", text.into()), Format::Csv).await.expect("an input");
    let all = input.all().await.expect("rows");
    let (rows, cursors) = (text_rows(&all), &all[0].cursors);
    assert_eq!(rows.len(), 6);
    for (row, cursor) in cursors.iter().enumerate() {
        assert_eq!(cursor.row, row as u64 + 1);
        let cursor: Cursor = serde_json::from_str(&serde_json::to_string(cursor).expect("JSON")).expect("a cursor");
        let rest = input.batches(cursor).await.expect("rows");
        assert_eq!(text_rows(&rest), rows[row + 1..], "after row {row}");
        if let Some(batch) = rest.first() {
            assert_eq!(batch.first_row, cursor.row);
            assert_eq!(batch.cursors, cursors[row + 1..]);
            let shifted: Vec<_> = all[0]
                .row_errors
                .iter()
                .filter(|(at, _)| *at > row)
                .map(|(at, error)| (at - row - 1, error.clone()))
                .collect();
            assert_eq!(batch.row_errors, shifted);
        }
    }
}

#[tokio::test]
async fn the_schema_survives_json() {
    let place = Place::file();
    let input = Opened::new(place.with("in.csv", "a b,$c\n1,2\n".into()), Format::Csv).await.expect("an input");
    let json = serde_json::to_string(&*input.schema).expect("JSON");
    assert_eq!(serde_json::from_str::<dataset::input::InputSchema>(&json).expect("a schema"), *input.schema);
}

#[tokio::test]
async fn records_that_span_blocks_are_whole() {
    let record = |row: usize| format!("{row},\"{}\n\"\"{row}\"\"\"\r\n", "x".repeat(65_521 + row));
    let text = std::iter::once("id,body\n".to_owned()).chain((0..200).map(record)).collect::<Vec<_>>().concat();
    let place = Place::file();
    let input = Opened::new(place.with("in.csv", text.into()), Format::Csv).await.expect("an input");
    let rows = text_rows(&input.all().await.expect("rows"));
    for (row, cells) in rows.iter().enumerate() {
        let body = format!("{}\n\"{row}\"", "x".repeat(65_521 + row));
        assert_eq!(cells[1].as_ref(), Some(&body), "row {row}");
    }
    assert_eq!(rows.len(), 200);
}

#[tokio::test]
async fn d7_a_replaced_input_is_not_read_on() {
    for place in [Place::file(), Place::s3().await] {
        let input =
            Opened::new(place.with("in.csv", "id,body\n1,x\n2,y\n".into()), Format::Csv).await.expect("an input");
        let cursor = input.all().await.expect("rows")[0].cursors[0];
        place.put("in.csv", "id,body\n1,x\n3,z\n".into());
        assert_eq!(input.batches(cursor).await.expect_err("changed").code(), "input_changed");
        std::fs::remove_file(place.on_disk("in.csv")).expect("removed");
        assert_eq!(input.batches(cursor).await.expect_err("gone").code(), "input_not_found");
    }
}
