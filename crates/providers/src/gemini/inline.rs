//! Requests in the create call instead of a file.

use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::encode::LINE_START;
use crate::EncodedFile;

/// The body of a create call. What is small enough to travel inline is small enough to be in memory.
pub(super) async fn body(tag: &str, file: &EncodedFile<'_>) -> std::io::Result<Vec<u8>> {
    let mut lines = BufReader::new(File::open(file.path).await?.take(file.bytes));
    let mut body = Vec::with_capacity(usize::try_from(file.bytes + file.bytes / 8).unwrap_or_default() + 256);
    let name = Value::from(tag);
    body.extend_from_slice(
        format!(r#"{{"batch":{{"displayName":{name},"inputConfig":{{"requests":{{"requests":["#).as_bytes(),
    );
    let mut line = Vec::new();
    let mut is_first = true;
    while lines.read_until(b'\n', &mut line).await? > 0 {
        if !is_first {
            body.push(b',');
        }
        is_first = false;
        let request = line.strip_suffix(b"\n").unwrap_or(&line);
        append(request, &mut body).ok_or_else(|| std::io::Error::other("a line is no encoded request"))?;
        line.clear();
    }
    body.extend_from_slice(b"]}}}}");
    Ok(body)
}

/// `{"key":"…","request":…}` as `{"metadata":{"key":"…"},"request":…}`. Ids hold no quotes.
fn append(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let rest = line.strip_prefix(LINE_START)?;
    let id_end = rest.iter().skip(1).position(|byte| *byte == b'"')? + 2;
    out.extend_from_slice(b"{\"metadata\":");
    out.extend_from_slice(LINE_START);
    out.extend_from_slice(&rest[..id_end]);
    out.push(b'}');
    out.extend_from_slice(&rest[id_end..]);
    Some(())
}

#[cfg(test)]
mod tests {
    use domain::job::spec::Params;
    use domain::prompt::{Message, Role};
    use serde_json::json;

    use super::*;
    use crate::gemini::encode::{append_line, prepare};

    #[tokio::test]
    async fn lines_of_a_file_become_inline_requests() {
        let prepared = prepare(&Params::default());
        let mut lines = Vec::new();
        for (id, text) in [("r1", "\"}\n"), ("r2", "b")] {
            if !lines.is_empty() {
                lines.push(b'\n');
            }
            append_line(&prepared, id, &[Message { role: Role::User, text: text.to_owned() }], &mut lines);
        }
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("d-1.jsonl");
        std::fs::write(&path, &lines).expect("a file");
        let file = EncodedFile { path: &path, bytes: lines.len() as u64, name: "d-1.jsonl" };
        let body: Value = serde_json::from_slice(&body("t-1", &file).await.expect("a body")).expect("JSON");
        let element = |id: &str, text: &str| {
            let contents = json!([{"role": "user", "parts": [{"text": text}]}]);
            json!({"metadata": {"key": id}, "request": {"contents": contents}})
        };
        let requests = json!({"requests": {"requests": [element("r1", "\"}\n"), element("r2", "b")]}});
        assert_eq!(body, json!({"batch": {"displayName": "t-1", "inputConfig": requests}}));
    }

    #[tokio::test]
    async fn a_file_of_something_else_is_not_sent() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("d-1.jsonl");
        for text in ["\n", "{}", "{\"key\":\"r1", "{\"custom_id\":\"r1\"}"] {
            std::fs::write(&path, text).expect("a file");
            let file = EncodedFile { path: &path, bytes: text.len() as u64, name: "d-1.jsonl" };
            assert!(body("t-1", &file).await.is_err(), "{text}");
        }
    }
}
