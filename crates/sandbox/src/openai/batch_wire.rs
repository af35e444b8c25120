//! Lines of input and result files.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::OpenAi;
use super::error::ApiError;
use crate::batch::{
    self, Answer, At, Item, Measured, Operation, Problem, ProviderBatch, RowKind, RowResult, Rules, Stage, Token, Wire,
};
use crate::completion::{put, put_string};
use crate::desk::parse;
use crate::reply::Reply;
use crate::value::{Fields, Value};

/// A line of an input file.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    custom_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// The event of a webhook.
#[derive(Serialize)]
struct Event<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    data: EventData<'a>,
}

#[derive(Serialize)]
struct EventData<'a> {
    id: &'a str,
}

impl Wire for OpenAi {
    fn family(&self) -> &'static str {
        self.name()
    }

    fn rules(&self) -> &'static Rules {
        self.own_rules()
    }

    fn file_id(&self, token: Token) -> String {
        format!("file-{}", token.hex())
    }

    fn batch_id(&self, token: Token) -> String {
        format!("batch_{}", token.hex())
    }

    fn split<'a>(&self, line: &'a [u8], batch: &ProviderBatch) -> Result<Item<'a>, Problem> {
        let parsed: Line<'a> =
            serde_json::from_slice(line).map_err(|error| Problem::invalid_json(0, &error.to_string()))?;
        let custom_id = parsed.custom_id.ok_or_else(|| Problem::missing("custom_id"))?;
        let method = parsed.method.ok_or_else(|| Problem::missing("method"))?;
        let url = parsed.url.ok_or_else(|| Problem::missing("url"))?;
        let body = parsed.body.ok_or_else(|| Problem::missing("body"))?;
        if method != "POST" {
            let message = format!("The method must be POST, not '{method}'.");
            return Err(Problem { code: "invalid_request", message, param: Some("method".to_owned()), line: None });
        }
        if !self.is_endpoint(&url, &batch.endpoint) {
            let message = format!("The URL '{url}' is not the endpoint '{}'.", batch.endpoint);
            return Err(Problem { code: "url_mismatch", message, param: Some("url".to_owned()), line: None });
        }
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

    fn byte_order_mark(&self) -> Problem {
        if *self == Self::Azure {
            // Misleading, as Azure's own.
            let message = "Could not find a valid deployment name in the input file.".to_owned();
            return Problem { code: "model_not_found", message, param: None, line: None };
        }
        Problem::invalid_json(1, "it begins with a byte order mark")
    }

    fn error(&self, operation: Option<Operation>, status: u16) -> Reply {
        if operation.is_some() && status == 404 {
            return ApiError::no_such_object().into();
        }
        batch::error(self, status, 0)
    }

    fn event(&self, batch: &ProviderBatch, event_id: &str, unix_s: u64) -> Option<Vec<u8>> {
        let kind = match batch.stage() {
            Stage::Completed => "batch.completed",
            Stage::Failed => "batch.failed",
            Stage::Expired => "batch.expired",
            Stage::Cancelled => "batch.cancelled",
            Stage::Validating | Stage::Running | Stage::Finalizing | Stage::Cancelling | Stage::Unknown => return None,
        };
        let data = EventData { id: &batch.id };
        let event = Event { id: event_id, object: "event", created_at: unix_s, kind, data };
        (*self == Self::Plain).then(|| serde_json::to_vec(&event).expect("strings and numbers serialise"))
    }
}

impl OpenAi {
    /// Azure shows endpoints without the version.
    fn is_endpoint(self, url: &str, endpoint: &str) -> bool {
        let bare = |path: &str| path.strip_prefix("/v1").map_or_else(|| path.to_owned(), str::to_owned);
        url == endpoint || (self == Self::Azure && bare(url) == bare(endpoint))
    }
}

/// The last field of that name, where it is a string.
pub(crate) fn into_model(fields: Fields<'_>) -> Option<Cow<'_, str>> {
    let (_, model) = fields.0.into_iter().rev().find(|(name, _)| name == "model")?;
    if let Value::Text(model) = model { Some(model) } else { None }
}

/// As documented for OpenAI; others do the same.
pub(crate) fn write_line(line: &mut Vec<u8>, result: &RowResult<'_>) {
    let number = result.number;
    put(line, format_args!(r#"{{"id":"batch_req_{number:016x}","custom_id":"#));
    put_string(line, result.custom_id);
    let (code, message) = match result.kind {
        RowKind::Answered { status, body } => {
            let request =
                format_args!(r#","response":{{"status_code":{status},"request_id":"req_{number:016x}","body":"#);
            put(line, request);
            line.extend(body);
            line.extend(br#"},"error":null}"#);
            return;
        }
        RowKind::Null => {
            line.extend(br#","response":null,"error":null}"#);
            return;
        }
        RowKind::Expired => {
            ("batch_expired", "This request could not be executed before the completion window expired.")
        }
        RowKind::Cancelled => ("batch_cancelled", "This request was not executed because the batch was cancelled."),
        RowKind::Error { code } => (code, "This request could not be executed."),
    };
    line.extend(br#","response":null,"error":{"code":"#);
    put_string(line, code);
    line.extend(br#","message":"#);
    put_string(line, message);
    line.extend(b"}}");
}
