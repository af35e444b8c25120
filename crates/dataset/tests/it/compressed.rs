//! Compressed text: cases E15, F10 and P11 of the catalogue.

use std::io::Write as _;

use dataset::input::limits::{FREE_TEXT_EXPANSION_BYTES, MAX_TEXT_EXPANSION};
use dataset::input::{Compression, InputBatch, InputError, Layout};
use domain::format::Format;
use flate2::write::GzEncoder;

use crate::places::Place;
use crate::support::{Opened, text_rows};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a vector takes all bytes");
    encoder.finish().expect("a vector takes all bytes")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("a vector takes all bytes")
}

type Compressor = fn(&[u8]) -> Vec<u8>;

const COMPRESSORS: [(Compression, Compressor); 2] = [(Compression::Gzip, gzip), (Compression::Zstd, zstd)];

/// A table that does not compress well, of several blocks.
fn table(rows: u64) -> String {
    let mut state = 1_u64;
    let mut row = |id| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{id},\"{:x}\n{state:x}\"\n", state >> 7)
    };
    std::iter::once("id,body\n".to_owned()).chain((0..rows).map(&mut row)).collect()
}

async fn open(name: &str, bytes: Vec<u8>) -> Result<Opened, InputError> {
    Opened::new(Place::file().with(name, bytes.into()), Format::Csv).await
}

async fn read(name: &str, bytes: Vec<u8>) -> Result<Vec<InputBatch>, InputError> {
    let place = Place::file();
    Opened::new(place.with(name, bytes.into()), Format::Csv).await?.all().await
}

async fn refused(name: &str, bytes: Vec<u8>) -> &'static str {
    read(name, bytes).await.expect_err("a refusal").code()
}

#[tokio::test]
async fn e15_compressed_files_are_read_whatever_their_names() {
    let text = table(200_000);
    let expected = text_rows(&read("x.csv", text.clone().into()).await.expect("rows"));
    assert_eq!(expected.len(), 200_000);
    for (compression, compress) in COMPRESSORS {
        for name in ["x.csv", "x.csv.gz", "x.csv.zst"] {
            let bytes = compress(text.as_bytes());
            let place = Place::file();
            let input = Opened::new(place.with(name, bytes.into()), Format::Csv).await.expect("an input");
            assert!(matches!(input.schema.layout, Layout::Csv { compression: found, .. } if found == compression));
            assert_eq!(text_rows(&input.all().await.expect("rows")), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn e15_members_that_follow_each_other_are_one_text() {
    for (_, compress) in COMPRESSORS {
        let mut bytes = compress(b"id,body\n1,a");
        bytes.extend(compress(b"b\n"));
        bytes.extend(compress(b""));
        bytes.extend(compress(b"2,c\n"));
        let rows = text_rows(&read("x.csv.gz", bytes).await.expect("rows"));
        assert_eq!(rows, [[Some("1".into()), Some("ab".into())], [Some("2".into()), Some("c".into())]]);
    }
}

#[tokio::test]
async fn e15_what_is_no_single_layer_is_refused() {
    let text = b"id,body\n1,x\n";
    for (_, compress) in COMPRESSORS {
        for (_, again) in COMPRESSORS {
            assert_eq!(refused("x.csv", again(&compress(text))).await, "compression_mismatch");
        }
        let junk = [compress(text), b"id,body\n".to_vec()].concat();
        assert_eq!(refused("x.csv", junk).await, "compression_mismatch");
        // Junk past the header's part is found by whoever reads all.
        let junk = [compress(table(200_000).as_bytes()), b"\0\0\0".to_vec()].concat();
        let place = Place::file();
        let input = Opened::new(place.with("x.csv", junk.into()), Format::Csv).await.expect("a header");
        assert_eq!(input.all().await.expect_err("junk").code(), "compression_mismatch");
    }
    let mut damaged = gzip(text);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    damaged[middle + 1] ^= 0xff;
    assert_eq!(refused("x.csv", damaged).await, "compression_mismatch");
    for name in ["x.csv.gz", "x.csv.zst"] {
        assert_eq!(refused(name, text.to_vec()).await, "compression_mismatch");
        assert_eq!(refused(name, Vec::new()).await, "input_empty");
    }
    assert_eq!(refused("x.csv", b"PK\x03\x04rest".to_vec()).await, "compression_mismatch");
}

#[tokio::test]
async fn f10_a_file_that_was_cut_short_is_truncated() {
    for (_, compress) in COMPRESSORS {
        let small = compress(b"id,body\n1,x\n");
        for end in [small.len() - 1, small.len() / 2, 5] {
            assert_eq!(refused("x.csv", small[..end].to_vec()).await, "truncated_input", "at {end}");
        }
        let large = compress(table(200_000).as_bytes());
        let place = Place::file();
        let input = Opened::new(place.with("x.csv", large[..large.len() - 3].to_vec().into()), Format::Csv)
            .await
            .expect("a header");
        assert_eq!(input.all().await.expect_err("an end").code(), "truncated_input");
    }
}

#[tokio::test]
async fn every_cursor_of_a_compressed_file_gives_the_rows_that_follow() {
    let place = Place::file();
    let input =
        Opened::new(place.with("x.csv", gzip(table(60_000).as_bytes()).into()), Format::Csv).await.expect("an input");
    let all = input.all().await.expect("rows");
    let rows = text_rows(&all);
    let cursors: Vec<_> = all.iter().flat_map(|batch| batch.cursors.clone()).collect();
    for row in [0, 1, 1_023, 1_024, 30_000, 59_998, 59_999] {
        let rest = input.batches(cursors[row]).await.expect("rows");
        assert_eq!(text_rows(&rest), rows[row + 1..], "after row {row}");
        assert_eq!(rest.last().map_or(cursors[row], |batch| batch.cursors[batch.cursors.len() - 1]), cursors[59_999]);
    }
}

#[tokio::test]
async fn p11_a_bomb_is_given_up_in_time() {
    // Blank lines, in pieces that are compressed once each.
    let piece = zstd(&vec![b'\n'; 16 << 20]);
    let pieces = usize::try_from(FREE_TEXT_EXPANSION_BYTES >> 24).expect("few") + 2;
    let bomb = [zstd(b"id,body\n1,x\n"), piece.repeat(pieces)].concat();
    assert!(bomb.len() as u64 * MAX_TEXT_EXPANSION < 16 << 20);
    let error = read("x.csv", bomb).await.expect_err("a bomb");
    assert_eq!(error.code(), "decompression_limit");
}

#[tokio::test]
async fn p11_a_huge_window_is_not_allocated() {
    // A frame whose window is 2 GiB, and an empty last block.
    let frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x01, 0x00, 0x00];
    let Err(error) = open("x.csv", frame).await else { panic!("a huge window") };
    assert!(matches!(error, InputError::WindowLimit { .. }), "{error}");
    assert_eq!(error.code(), "decompression_limit");
}
