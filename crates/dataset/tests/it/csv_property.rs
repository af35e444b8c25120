//! Any text survives CSV in and out.

use dataset::output::{IfExists, OutputColumns, assemble};
use domain::format::Format;
use proptest::prelude::*;

use crate::places::Place;
use crate::support::{Opened, chunk, ok, part, text_rows};

/// Texts that are hard on CSV, and any other.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a\"\r\n, ;\\t'\u{feff}é]{0,6}", 1 => any::<String>(), 1 => Just(String::new())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_round_trips(rows in prop::collection::vec(prop::collection::vec(cell(), 3), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).expect("written");
            for row in &rows {
                writer.write_record(row).expect("written");
            }
            let text = writer.into_inner().expect("flushed");
            let expected: Vec<Vec<_>> = rows.iter().map(|row| row.iter().cloned().map(Some).collect()).collect();

            let place = Place::file();
            let input = Opened::new(place.with("in.csv", text.into()), Format::Csv).await.expect("an input");
            let batches = input.all().await.expect("rows");
            assert_eq!(text_rows(&batches), expected);

            let columns = OutputColumns::new(&input.schema, "llm_").expect("columns");
            let parts = vec![part(Format::Csv, &columns, &chunk(&input.schema, &batches))];
            assemble(Format::Csv, &columns, ok(parts), &place.at("out.csv"), IfExists::Error).await.expect("an output");
            let output = Opened::new(place.at("out.csv"), Format::Csv).await.expect("an output");
            let merged = text_rows(&output.all().await.expect("rows"));
            let inputs: Vec<Vec<_>> = merged.into_iter().map(|mut row| { row.truncate(3); row }).collect();
            assert_eq!(inputs, expected);
        });
    }
}
