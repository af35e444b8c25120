//! Requests and results of provider batches, in files and within calls.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Gemini;
use crate::batch::{
    self, Answer, At, Errors, Item, Measured, Operation, Problem, ProviderBatch, RowKind, RowResult, Rules, Token, Wire,
};
use crate::completion::put_string;
use crate::desk::parse;
use crate::family::Family;
use crate::reply::Reply;

/// How requests come and results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GeminiBatches {
    ByFile,
    Inline,
}

/// A request and the key of its result: beside it in a file, in `metadata` within a call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    request: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
}

/// What files that no client sees are for.
pub(super) const HIDDEN: &str = "inline";

/// Limits as of November 2026, as far as they are known.
const BY_FILE: Rules = Rules {
    max_requests: u64::MAX,
    max_bytes: 2 * 1024 * 1024 * 1024,
    max_line_bytes: 20 * 1024 * 1024,
    creates_per_hour: None,
    max_batches: Some(100),
    max_queued_requests: None,
    one_model: false,
    error_file: Errors::Output,
    tells_unfinished: false,
    expired_has_results: false,
    output_purpose: "application/jsonl",
};

const INLINE: Rules = Rules { max_bytes: 20 * 1024 * 1024, output_purpose: HIDDEN, ..BY_FILE };

impl GeminiBatches {
    /// The wire format of a provider batch whose requests come so.
    pub fn wire(self) -> &'static dyn Wire {
        match self {
            Self::ByFile => &Self::ByFile,
            Self::Inline => &Self::Inline,
        }
    }
}

impl Wire for GeminiBatches {
    fn family(&self) -> &'static str {
        "gemini"
    }

    fn rules(&self) -> &'static Rules {
        match self {
            Self::ByFile => &BY_FILE,
            Self::Inline => &INLINE,
        }
    }

    fn file_id(&self, token: Token) -> String {
        format!("files/{}", token.hex())
    }

    fn batch_id(&self, token: Token) -> String {
        format!("batches/{}", token.hex())
    }

    fn split<'a>(&self, line: &'a [u8], _batch: &ProviderBatch) -> Result<Item<'a>, Problem> {
        let parsed: Line<'a> =
            serde_json::from_slice(line).map_err(|error| Problem::invalid_json(0, &error.to_string()))?;
        let key = match self {
            Self::ByFile => parsed.key,
            Self::Inline => parsed.metadata.and_then(|metadata| metadata.key),
        };
        let request = parsed.request.ok_or_else(|| Problem::missing("request"))?;
        // Google takes requests without a key; nobody could tell which of them a result is for.
        Ok(Item { custom_id: key.ok_or_else(|| Problem::missing("key"))?, body: request.get().as_bytes() })
    }

    fn measure<'a>(&self, body: &'a [u8], batch: &ProviderBatch) -> Measured<'a> {
        let Ok(fields) = parse(body) else {
            return Measured::default();
        };
        Measured { model: None, prompt_tokens: batch::prompt_tokens(&gemini(batch), &fields) }
    }

    fn identity<'b>(&self, body: &'b [u8], batch: &ProviderBatch) -> Cow<'b, [u8]> {
        gemini(batch).identity(body)
    }

    fn answer(&self, at: &At<'_>, body: &[u8]) -> Answer {
        batch::answer(&gemini(at.batch), at, parse(body))
    }

    fn write(&self, line: &mut Vec<u8>, result: &RowResult<'_>) {
        line.push(b'{');
        match result.kind {
            RowKind::Answered { status: 200, body } => {
                line.extend(br#""response":"#);
                line.extend(body);
                line.push(b',');
            }
            RowKind::Answered { body, .. } => put_error(line, &rpc_status(body)),
            RowKind::Null => {}
            RowKind::Expired => put_error(line, &json!({"code": 4, "message": "The request expired."})),
            RowKind::Cancelled => put_error(line, &json!({"code": 1, "message": "The request was cancelled."})),
            RowKind::Error { code } => put_error(line, &json!({"code": 13, "message": code})),
        }
        match self {
            Self::ByFile => {
                line.extend(br#""key":"#);
                put_string(line, result.custom_id);
            }
            Self::Inline => {
                line.extend(br#""metadata":{"key":"#);
                put_string(line, result.custom_id);
                line.push(b'}');
            }
        }
        line.push(b'}');
    }

    fn error(&self, _operation: Option<Operation>, status: u16) -> Reply {
        batch::error(&Gemini { model: String::new() }, status, 0)
    }
}

fn put_error(line: &mut Vec<u8>, error: &Value) {
    line.extend(format!(r#""error":{error},"#).as_bytes());
}

/// An error body as a `google.rpc.Status`: with the code of the canonical list in place of the HTTP status.
fn rpc_status(body: &[u8]) -> Value {
    let mut body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let Some(Value::Object(fields)) = body.get_mut("error") else {
        return json!({});
    };
    let status = fields.remove("status");
    fields.insert("code".to_owned(), json!(rpc_code(status.as_ref().and_then(Value::as_str).unwrap_or_default())));
    body["error"].take()
}

/// The numbers of `google.rpc.Code`.
fn rpc_code(status: &str) -> u8 {
    match status {
        "CANCELLED" => 1,
        "INVALID_ARGUMENT" => 3,
        "DEADLINE_EXCEEDED" => 4,
        "NOT_FOUND" => 5,
        "PERMISSION_DENIED" => 7,
        "RESOURCE_EXHAUSTED" => 8,
        "FAILED_PRECONDITION" => 9,
        "ABORTED" => 10,
        "UNIMPLEMENTED" => 12,
        "INTERNAL" => 13,
        "UNAVAILABLE" => 14,
        "UNAUTHENTICATED" => 16,
        _ => 2,
    }
}

/// The model that the path of the creation named.
fn gemini(batch: &ProviderBatch) -> Gemini {
    Gemini { model: batch.model.clone().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(wire: GeminiBatches, kind: RowKind<'_>) -> Value {
        let mut line = Vec::new();
        wire.write(&mut line, &RowResult { number: 1, custom_id: "r\"1", kind });
        serde_json::from_slice(&line).expect("JSON")
    }

    #[test]
    fn result_has_its_key_where_its_request_had_it() {
        let kind = RowKind::Answered { status: 200, body: br#"{"a":1}"# };
        assert_eq!(written(GeminiBatches::ByFile, kind), json!({"response": {"a": 1}, "key": "r\"1"}));
        assert_eq!(written(GeminiBatches::Inline, kind), json!({"response": {"a": 1}, "metadata": {"key": "r\"1"}}));
        assert_eq!(written(GeminiBatches::ByFile, RowKind::Null), json!({"key": "r\"1"}));
    }

    #[test]
    fn error_has_a_code_of_the_canonical_list() {
        let body = br#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[1]}}"#;
        let line = written(GeminiBatches::ByFile, RowKind::Answered { status: 429, body });
        assert_eq!(line["error"], json!({"code": 8, "message": "m", "details": [1]}));
        let line = written(GeminiBatches::ByFile, RowKind::Answered { status: 0, body: b"\"\"" });
        assert_eq!(line["error"], json!({}));
    }
}
