//! Any bytes as JSONL, and any objects through all of it.

use dataset::output::{IfExists, OutputColumns, assemble};
use domain::format::Format;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::places::Place;
use crate::support::{Opened, chunk, ok, part, text_rows};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z\"\\\\]{0,3}", inner, 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the bytes, a line that isn't blank is a row, sound or not.
    #[test]
    fn any_bytes_are_rows_or_refused(bytes in prop::collection::vec(prop::sample::select(&b"{}[]\"a:1,\\ut\r\n\n \xc3\xa9\xff-.e"[..]), 0..120)) {
        let bytes = [b"{\"a\":1}\n", &bytes[..]].concat();
        let expected = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        runtime().block_on(async {
            let place = Place::file();
            let input = Opened::new(place.with("in.jsonl", bytes.into()), Format::Jsonl).await.expect("the first line is sound");
            let batches = input.all().await.expect("rows");
            let lines = text_rows(&batches).concat();
            assert_eq!(lines.len(), expected);
            let bad: usize = batches.iter().map(|batch| batch.row_errors.len()).sum();
            assert_eq!(lines.iter().filter(|line| line.is_none()).count(), bad);
            for line in lines.iter().flatten() {
                assert!(serde_json::from_str::<Map<String, Value>>(line).is_ok(), "{line}");
            }
        });
    }

    /// From lines to lines an object keeps its text.
    #[test]
    fn objects_keep_their_text(values in prop::collection::vec((value(), value()), 1..8)) {
        let before: Vec<String> = values.iter().map(|(one, other)| json!({"one": one, "other": other}).to_string()).collect();
        let text = before.join("\n");
        runtime().block_on(async {
            let place = Place::file();
            let input = Opened::new(place.with("in.jsonl", text.into()), Format::Jsonl).await.expect("an input");
            let batches = input.all().await.expect("rows");
            let columns = OutputColumns::new(&input.schema, "llm_").expect("no conflict");
            let parts = vec![part(Format::Jsonl, &columns, &chunk(&input.schema, &batches))];
            assemble(Format::Jsonl, &columns, ok(parts), &place.at("out"), IfExists::Error).await.expect("an output");
            let after = String::from_utf8(place.read("out")).expect("text");
            let lines: Vec<&str> = after.lines().collect();
            assert_eq!(lines.len(), before.len());
            for (before, after) in before.iter().zip(lines) {
                assert!(after.starts_with(before.trim_end_matches('}')), "{after}");
                assert!(serde_json::from_str::<Value>(after).is_ok(), "{after}");
            }
        });
    }
}
