//! Requests and results of message batches.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Anthropic, Version};
use crate::batch::{
    self, Answer, At, Errors, Item, Measured, Operation, Problem, ProviderBatch, RowKind, RowResult, Rules, Token, Wire,
};
use crate::completion::{put, put_string};
use crate::desk::parse;
use crate::reply::Reply;

/// Message batches. A request is checked when its turn comes, apart from its id.
pub(super) struct MessageBatches;

/// A request with its id.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    custom_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// Limits as of November 2026; those of the queue are the tier Start's.
const RULES: Rules = Rules {
    max_requests: 100_000,
    max_bytes: 256 * 1024 * 1024,
    max_line_bytes: 32 * 1024 * 1024,
    creates_per_hour: None,
    max_batches: None,
    max_queued_requests: Some(200_000),
    one_model: false,
    error_file: Errors::Output,
    tells_unfinished: true,
    expired_has_results: true,
    output_purpose: "batch_results",
};

impl Wire for MessageBatches {
    fn family(&self) -> &'static str {
        "anthropic"
    }

    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn file_id(&self, token: Token) -> String {
        format!("file_{}", token.hex())
    }

    fn batch_id(&self, token: Token) -> String {
        format!("msgbatch_{}", token.hex())
    }

    fn split<'a>(&self, line: &'a [u8], _batch: &ProviderBatch) -> Result<Item<'a>, Problem> {
        let parsed: Line<'a> = serde_json::from_slice(line).map_err(|error| invalid("", &error.to_string()))?;
        let custom_id = parsed.custom_id.ok_or_else(|| invalid("custom_id", "Field required"))?;
        if !is_id(&custom_id) {
            return Err(invalid("custom_id", "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"));
        }
        let params = parsed.params.ok_or_else(|| invalid("params", "Field required"))?;
        if !params.get().starts_with('{') {
            return Err(invalid("params", "Input should be an object"));
        }
        Ok(Item { custom_id, body: params.get().as_bytes() })
    }

    fn measure<'a>(&self, body: &'a [u8], batch: &ProviderBatch) -> Measured<'a> {
        let Ok(fields) = parse(body) else {
            return Measured::default();
        };
        Measured { model: None, prompt_tokens: batch::prompt_tokens(&anthropic(batch), &fields) }
    }

    fn answer(&self, at: &At<'_>, body: &[u8]) -> Answer {
        batch::answer(&anthropic(at.batch), at, parse(body))
    }

    fn write(&self, line: &mut Vec<u8>, result: &RowResult<'_>) {
        line.extend(br#"{"custom_id":"#);
        put_string(line, result.custom_id);
        line.extend(br#","result":"#);
        match result.kind {
            RowKind::Answered { status: 200, body } => put_rest(line, r#"{"type":"succeeded","message":"#, body),
            RowKind::Answered { body, .. } => put_rest(line, r#"{"type":"errored","error":"#, body),
            RowKind::Null => line.extend(b"null"),
            RowKind::Expired => line.extend(br#"{"type":"expired"}"#),
            RowKind::Cancelled => line.extend(br#"{"type":"canceled"}"#),
            RowKind::Error { code } => {
                line.extend(br#"{"type":"errored","error":{"type":"error","error":{"type":"#);
                put_string(line, code);
                let request = format_args!(
                    r#","message":"This request could not be executed."}},"request_id":"req_{:016x}"}}}}"#,
                    result.number
                );
                put(line, request);
            }
        }
        line.push(b'}');
    }

    fn error(&self, _operation: Option<Operation>, status: u16) -> Reply {
        let anthropic = Anthropic { version: Ok(Version::Of2023), in_batch: true };
        batch::error(&anthropic, status, 0)
    }
}

/// An object up to its last value, that value, and the end.
fn put_rest(line: &mut Vec<u8>, start: &str, body: &[u8]) {
    line.extend(start.as_bytes());
    line.extend(body);
    line.push(b'}');
}

/// Messages under the version that the creation named.
fn anthropic(batch: &ProviderBatch) -> Anthropic {
    let is_2026 = batch.details["version"] == Version::Of2026.name();
    Anthropic { version: Ok(if is_2026 { Version::Of2026 } else { Version::Of2023 }), in_batch: true }
}

fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// The line is filled in by the caller.
fn invalid(param: &str, message: &str) -> Problem {
    Problem { code: "invalid_request", message: message.to_owned(), param: Some(param.to_owned()), line: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_match_the_pattern() {
        let longest = "x".repeat(64);
        assert!(["a", "A-0_z", &longest].into_iter().all(is_id));
        assert!(["", "a b", "é", "a.b", &"x".repeat(65)].into_iter().all(|id| !is_id(id)));
    }
}
