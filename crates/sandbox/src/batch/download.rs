//! Files on their way out, whole or in part (RFC 9110 section 14).

use std::io::{self, SeekFrom};

use hyper::header::RANGE;
use tokio::fs::File;
use tokio::io::AsyncSeekExt;

use super::files::StoredFile;
use crate::call::Call;
use crate::reply::{Payload, Reply};

/// What a `range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// From the first byte to the one after the last.
    Part(u64, u64),
    Nothing,
}

/// The content of a file; 206 where the call asks for a part of it.
pub(crate) async fn download(call: &Call<'_>, stored: &StoredFile) -> io::Result<Reply> {
    let range = call.headers.get(RANGE).and_then(|range| range.to_str().ok());
    let (status, start, end) = match wanted(range, stored.bytes) {
        Wanted::Whole => (200, 0, stored.bytes),
        Wanted::Part(start, end) => (206, start, end),
        Wanted::Nothing => {
            let unsatisfied = format!("bytes */{}", stored.bytes);
            return Ok(Reply::new(416, "text/plain", Vec::new()).with_header("content-range", &unsatisfied));
        }
    };
    let mut file = File::open(stored.path()).await?;
    file.seek(SeekFrom::Start(start)).await?;
    let payload = Payload::File { file, length: end - start, cut: false };
    let reply = Reply::new(status, "application/octet-stream", payload).with_header("accept-ranges", "bytes");
    if status == 200 {
        return Ok(reply);
    }
    Ok(reply.with_header("content-range", &format!("bytes {start}-{}/{}", end - 1, stored.bytes)))
}

/// Ranges that are none, several, or of other units are ignored, as the standard allows.
fn wanted(range: Option<&str>, length: u64) -> Wanted {
    let parsed = range.and_then(|range| {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| if text.is_empty() { Some(None) } else { text.parse::<u64>().ok().map(Some) };
        Some((number(first)?, number(last)?))
    });
    match parsed {
        None | Some((None, None)) => Wanted::Whole,
        Some((Some(first), Some(last))) if last < first => Wanted::Whole,
        Some((Some(first), last)) if first < length => {
            Wanted::Part(first, last.map_or(length, |last| last.saturating_add(1).min(length)))
        }
        Some((None, Some(suffix))) if suffix > 0 && length > 0 => Wanted::Part(length.saturating_sub(suffix), length),
        Some(_) => Wanted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_standard() {
        let of = |range: &str| wanted(Some(range), 10);
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(of("bytes=0-0"), Wanted::Part(0, 1));
        assert_eq!(of("bytes=2-5"), Wanted::Part(2, 6));
        assert_eq!(of("bytes=2-99"), Wanted::Part(2, 10));
        assert_eq!(of("bytes=9-"), Wanted::Part(9, 10));
        assert_eq!(of("bytes=-3"), Wanted::Part(7, 10));
        assert_eq!(of("bytes=-99"), Wanted::Part(0, 10));
        for nothing in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(of(nothing), Wanted::Nothing, "{nothing}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
        for whole in ["bytes=5-2", "bytes=1-2,4-5", "bytes=-", "bytes=a-b", "lines=1-2"] {
            assert_eq!(of(whole), Wanted::Whole, "{whole}");
        }
    }
}
