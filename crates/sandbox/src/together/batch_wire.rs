//! Lines of input and result files.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Together;
use super::error::BatchError;
use crate::batch::{
    self, Answer, At, Errors, Item, Measured, Operation, Problem, ProviderBatch, RowResult, Rules, Token, Wire,
};
use crate::desk::parse;
use crate::openai::{into_model, write_line};
use crate::reply::Reply;

/// As of November 2026.
const RULES: Rules = Rules {
    max_requests: 50_000,
    max_bytes: 100_000_000,
    max_line_bytes: 10_000_000,
    creates_per_hour: None,
    max_batches: None,
    max_queued_requests: None,
    one_model: true,
    error_file: Errors::OwnFile,
    tells_unfinished: true,
    expired_has_results: true,
    output_purpose: "batch-generated",
};

/// A line of an input file.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    custom_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl Wire for Together {
    fn family(&self) -> &'static str {
        "together"
    }

    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn file_id(&self, token: Token) -> String {
        format!("file-{}", token.uuid())
    }

    fn batch_id(&self, token: Token) -> String {
        token.uuid()
    }

    fn split<'a>(&self, line: &'a [u8], _batch: &ProviderBatch) -> Result<Item<'a>, Problem> {
        let parsed: Line<'a> =
            serde_json::from_slice(line).map_err(|error| Problem::invalid_json(0, &error.to_string()))?;
        let custom_id = parsed.custom_id.ok_or_else(|| Problem::missing("custom_id"))?;
        let body = parsed.body.ok_or_else(|| Problem::missing("body"))?;
        Ok(Item { custom_id, body: body.get().as_bytes() })
    }

    fn measure<'a>(&self, body: &'a [u8], _batch: &ProviderBatch) -> Measured<'a> {
        let Ok(fields) = parse(body) else {
            return Measured::default();
        };
        Measured { prompt_tokens: batch::prompt_tokens(self, &fields), model: into_model(fields) }
    }

    fn answer(&self, at: &At<'_>, body: &[u8]) -> Answer {
        batch::answer(self, at, parse(body))
    }

    fn write(&self, line: &mut Vec<u8>, result: &RowResult<'_>) {
        write_line(line, result);
    }

    fn error(&self, operation: Option<Operation>, status: u16) -> Reply {
        match operation {
            Some(Operation::Create | Operation::Poll | Operation::List | Operation::Cancel) => {
                BatchError::usual(status).into()
            }
            Some(Operation::Upload | Operation::Download | Operation::DeleteFile) | None => {
                batch::error(self, status, 0)
            }
        }
    }
}
