//! Lines of input and result files.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::desk::{self, Asked, parse};
use super::error::ApiError;
use super::flavour::Flavour;
use super::request::ChatRequest;
use super::value::{Fields, Value};
use crate::batch::{
    Answer, Desk, Item, Measured, Problem, ProviderBatch, RowKind, RowResult, Rules, Stage, Token, Wire,
};
use crate::fault;
use crate::reply::{Payload, Reply};

/// Answers on demand may be larger in real time; a line of a result file must fit into memory.
const MAX_ANSWER_BYTES: u64 = 256 * 1024 * 1024;

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

impl Wire for Flavour {
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
        let custom_id = parsed.custom_id.ok_or_else(|| missing("custom_id"))?;
        let method = parsed.method.ok_or_else(|| missing("method"))?;
        let url = parsed.url.ok_or_else(|| missing("url"))?;
        let body = parsed.body.ok_or_else(|| missing("body"))?;
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

    fn measure<'a>(&self, body: &'a [u8]) -> Measured<'a> {
        let Ok(fields) = parse(body) else {
            return Measured::default();
        };
        Measured {
            prompt_tokens: ChatRequest::new(&fields).map_or(0, |request| request.prompt_tokens()),
            model: into_model(fields),
        }
    }

    fn answer(&self, at: &Desk<'_>, body: &[u8]) -> Answer {
        match parse(body).and_then(|fields| answer(at, &fields)) {
            Ok(answer) => answer,
            Err(error) => free(error.status, error.into(), None),
        }
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

    fn error(&self, status: u16) -> Reply {
        fault::status_reply(status)
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
        (*self == Self::OpenAi).then(|| serde_json::to_vec(&event).expect("strings and numbers serialise"))
    }
}

impl Flavour {
    /// Azure shows endpoints without the version.
    fn is_endpoint(self, url: &str, endpoint: &str) -> bool {
        let bare = |path: &str| path.strip_prefix("/v1").map_or_else(|| path.to_owned(), str::to_owned);
        url == endpoint || (self == Self::Azure && bare(url) == bare(endpoint))
    }
}

fn missing(param: &str) -> Problem {
    let message = format!("The line has no '{param}'.");
    Problem { code: "invalid_request", message, param: Some(param.to_owned()), line: None }
}

/// The last field of that name, where it is a string.
fn into_model(fields: Fields<'_>) -> Option<Cow<'_, str>> {
    let (_, model) = fields.0.into_iter().rev().find(|(name, _)| name == "model")?;
    if let Value::Text(model) = model { Some(model) } else { None }
}

fn answer(at: &Desk<'_>, fields: &Fields<'_>) -> Result<Answer, ApiError> {
    let asked = Asked::new(at.config, fields)?;
    let desk = desk::Desk { config: at.config, seq: at.seq, at: at.at, again: at.again };
    let fault = desk.fault(&asked.request, at.identity)?;
    let name = fault.as_ref().map(fault::Fault::name);
    if fault.as_ref().is_some_and(fault::Fault::is_of_the_connection) {
        return Ok(free(500, fault::status_reply(500), name));
    }
    let reply = desk.reply(&asked, fault.as_ref());
    let (status, billed) = (reply.status, reply.billed_tokens.map(|tokens| (asked.prompt_tokens, tokens)));
    Ok(match into_body(reply) {
        Some(body) => Answer { status, body, billed, fault: name },
        // A page of a proxy, or an answer too large for a line.
        None if status == 200 => free(500, fault::status_reply(500), name),
        None => free(status, fault::json_status_reply(status), name),
    })
}

/// An answer that costs nothing.
fn free(status: u16, reply: Reply, fault: Option<&'static str>) -> Answer {
    Answer { status, body: reply.into_json(), billed: None, fault }
}

fn into_body(reply: Reply) -> Option<Vec<u8>> {
    match reply.payload {
        Payload::Whole(body) if reply.content_type != "text/html" => Some(body),
        Payload::Padded { head, filler, tail } if filler <= MAX_ANSWER_BYTES => {
            let filler = vec![b'f'; usize::try_from(filler).ok()?];
            Some([head, filler, tail].concat())
        }
        _ => None,
    }
}

/// As documented for OpenAI; others do the same.
pub(crate) fn write_line(line: &mut Vec<u8>, result: &RowResult<'_>) {
    let number = result.number;
    line.extend(format!(r#"{{"id":"batch_req_{number:016x}","custom_id":"#).bytes());
    put_string(line, result.custom_id);
    let error = match result.kind {
        RowKind::Answered { status, body } => {
            let head = format!(r#","response":{{"status_code":{status},"request_id":"req_{number:016x}","body":"#);
            line.extend(head.bytes());
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
    put_string(line, error.0);
    line.extend(br#","message":"#);
    put_string(line, error.1);
    line.extend(b"}}");
}

fn put_string(line: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(line, text).expect("a Vec takes every write and a string always serialises");
}
