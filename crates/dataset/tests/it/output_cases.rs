//! The output: merged, whole or absent, the same every time.

use dataset::chunk::{self, ChunkInput};
use dataset::input::InputError;
use dataset::output::{IfExists, OutputColumns, Part, assemble, encode_part, read_output};
use dataset::{attempts, results};
use domain::format::Format;
use futures::{StreamExt, TryStreamExt, stream};

use crate::places::{Place, example};
use crate::support::{Opened, chunk as chunk_of, ok, outcomes, part};

const FORMATS: [Format; 4] = [Format::Csv, Format::Jsonl, Format::Parquet, Format::Tsv];

async fn movies(place: &Place) -> (OutputColumns, Vec<ChunkInput>) {
    let input = Opened::new(place.with("movies.csv", example("movies.csv")), Format::Csv).await.expect("an input");
    let columns = OutputColumns::new(&input.schema, "llm_").expect("columns");
    let batches = input.all().await.expect("rows");
    (columns, batches.iter().map(|batch| chunk_of(&input.schema, std::slice::from_ref(batch))).collect())
}

#[tokio::test]
async fn the_same_rows_give_the_same_bytes() {
    let place = Place::file();
    let (columns, chunks) = movies(&place).await;
    for format in FORMATS {
        let parts = || chunks.iter().map(|chunk| part(format, &columns, chunk)).collect::<Vec<_>>();
        for (first, second) in parts().iter().zip(parts()) {
            assert_eq!(first.bytes, second.bytes);
        }
        let first =
            assemble(format, &columns, ok(parts()), &place.at("first"), IfExists::Error).await.expect("an output");
        let second =
            assemble(format, &columns, ok(parts()), &place.at("second"), IfExists::Error).await.expect("an output");
        assert_eq!(first, second);
        assert_eq!(place.read("first"), place.read("second"));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &place.read("first"));
        assert_eq!(digest.as_ref(), first.sha256);
        assert_eq!(first.bytes, place.read("first").len() as u64);
        for name in ["first", "second"] {
            std::fs::remove_file(place.on_disk(name)).expect("removed");
        }
    }
}

#[tokio::test]
async fn an_output_that_fails_midway_is_not_there() {
    for place in [Place::file(), Place::s3().await] {
        let (columns, chunks) = movies(&place).await;
        for format in FORMATS {
            // More than one piece, so that an upload is under way when it fails.
            let one = part(format, &columns, &chunks[0]);
            let count = (40 << 20) / one.bytes.len();
            let parts = stream::iter(std::iter::repeat_n(one, count))
                .map(Ok)
                .chain(stream::iter([Err(InputError::ReaderStopped)]));
            let target = place.at("out");
            let error = assemble(format, &columns, parts, &target, IfExists::Error).await.expect_err("a failure");
            assert!(error.is_transient(), "{error}");
            assert!(!target.exists().await.expect("a look"));
        }
        let left = std::fs::read_dir(place.on_disk("")).expect("a directory").count();
        assert_eq!(left, 1, "only the input is left");
    }
}

#[tokio::test]
async fn a_large_output_is_whole() {
    for place in [Place::file(), Place::s3().await] {
        let (columns, chunks) = movies(&place).await;
        for format in FORMATS {
            let one = part(format, &columns, &chunks[0]);
            let count = (40 << 20) / one.bytes.len();
            let parts = vec![one; count];
            let target = place.at(format.extension());
            let assembled = assemble(format, &columns, ok(parts), &target, IfExists::Error).await.expect("an output");
            assert!(assembled.bytes > 32 << 20);
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &place.read(format.extension()));
            assert_eq!(digest.as_ref(), assembled.sha256);
            let output = read_output(&target, format).await.expect("an output");
            let rows: usize = output
                .batches
                .map_ok(|batch| batch.rows.num_rows())
                .try_fold(0, |all, rows| async move { Ok(all + rows) })
                .await
                .expect("rows");
            assert_eq!(rows as u64, assembled.rows);
        }
    }
}

#[tokio::test]
async fn d8_an_output_is_replaced_only_if_asked() {
    for place in [Place::file(), Place::s3().await] {
        let (columns, chunks) = movies(&place).await;
        let small = || ok(vec![part(Format::Csv, &columns, &chunks[0])]);
        let large = || ok(vec![part(Format::Csv, &columns, &chunks[0]); 200]);
        let target = place.at("out.csv");
        assemble(Format::Csv, &columns, small(), &target, IfExists::Error).await.expect("an output");
        let first = place.read("out.csv");

        assemble(Format::Csv, &columns, small(), &target, IfExists::Error)
            .await
            .expect("the same bytes again are no conflict");
        let error = assemble(Format::Csv, &columns, large(), &target, IfExists::Error).await.expect_err("a conflict");
        assert_eq!(error.code(), "output_exists");
        assert_eq!(place.read("out.csv"), first);
        let other = vec![part(Format::Csv, &columns, &chunks[1])];
        let error = assemble(Format::Csv, &columns, ok(other), &target, IfExists::Error).await.expect_err("a conflict");
        assert_eq!(error.code(), "output_exists");

        assemble(Format::Csv, &columns, large(), &target, IfExists::Replace).await.expect("an output");
        assert!(place.read("out.csv").len() > 100 * first.len());
    }
}

#[tokio::test]
async fn k7_a_column_of_the_input_is_never_shadowed() {
    let place = Place::file();
    let input = Opened::new(place.with("in.csv", "id,llm_error\n1,2\n".into()), Format::Csv).await.expect("an input");
    assert_eq!(OutputColumns::new(&input.schema, "llm_").expect_err("a conflict").name, "llm_error");
    let columns = OutputColumns::new(&input.schema, "x_").expect("no conflict");
    let expected = concat!(
        "id llm_error x_response x_status x_error_code x_error x_model x_finish_reason x_input_tokens x_output_tokens ",
        "x_cost_usd x_attempts"
    );
    assert_eq!(columns.names().collect::<Vec<_>>().join(" "), expected);
}

#[tokio::test]
async fn csv_has_the_cells_as_they_were_and_empty_cells_for_nulls() {
    let place = Place::file();
    let text = "id,body\n001,\"a, \"\"b\"\"\"\n,plain\n3\n4,x\n";
    let input = Opened::new(place.with("in.csv", text.into()), Format::Csv).await.expect("an input");
    let chunk = chunk_of(&input.schema, &input.all().await.expect("rows"));
    let columns = OutputColumns::new(&input.schema, "").expect("columns");
    assemble(
        Format::Csv,
        &columns,
        ok(vec![part(Format::Csv, &columns, &chunk)]),
        &place.at("out.csv"),
        IfExists::Error,
    )
    .await
    .expect("an output");
    let expected = concat!(
        "id,body,response,status,error_code,error,model,finish_reason,input_tokens,output_tokens,cost_usd,attempts\n",
        "001,\"a, \"\"b\"\"\",\"answer 0: \"\"quoted\"\", two\nlines\",succeeded,,,sandbox/echo,stop,0,5,0.0015,1\n",
        ",plain,\"answer 1: \"\"quoted\"\", two\nlines\",succeeded,,,sandbox/echo,stop,1,5,0.001500000001,2\n",
        "3,,,failed,template_error,no such filter,,,,,0.00,0\n",
        "4,x,,expired,deadline,too late,,,,,,0\n",
    );
    assert_eq!(String::from_utf8(place.read("out.csv")).expect("text"), expected);
}

#[tokio::test]
async fn a_chunks_files_survive_being_written() {
    let place = Place::file();
    let (_, chunks) = movies(&place).await;
    for original in &chunks {
        assert_eq!(&chunk::decode(chunk::encode(original).expect("bytes")).expect("a chunk"), original);
    }
    let mut expected = outcomes(50);
    expected[0].response = Some("nul \0 and \u{10ffff}".into());
    let rows: Vec<_> = (7..).zip(&expected).collect();
    assert_eq!(results::decode(results::encode(&rows).expect("bytes")).expect("outcomes"), expected);
    assert_eq!(results::decode(results::encode(&[]).expect("bytes")).expect("none"), []);

    let attempt = |number| attempts::AttemptRecord {
        row: 3,
        attempt: number,
        model: "sandbox/echo".into(),
        error: expected[2].error.clone().filter(|_| number == 1),
        usage: expected[0].usage,
        cost: expected[0].cost,
        http_status: (number == 2).then_some(200),
        provider_request_id: Some("req-1".into()),
        late: number == 2,
        at: chrono::DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("a time"),
    };
    let expected = [attempt(1), attempt(2)];
    assert_eq!(attempts::decode(attempts::encode(&expected).expect("bytes")).expect("attempts"), expected);
}

#[tokio::test]
async fn rows_and_outcomes_must_be_as_many() {
    let place = Place::file();
    let (columns, chunks) = movies(&place).await;
    for format in FORMATS {
        encode_part(format, &columns, &chunks[0], &outcomes(3)).expect_err("too few outcomes");
    }
    let short = Part { rows: 1, ..part(Format::Parquet, &columns, &chunks[0]) };
    let error = assemble(Format::Parquet, &columns, ok(vec![short]), &place.at("out"), IfExists::Error)
        .await
        .expect_err("a mismatch");
    assert_eq!(error.code(), "internal_error");
}
