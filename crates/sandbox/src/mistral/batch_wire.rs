//! Lines of input and result files.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};

use super::Mistral;
use crate::batch::{
    self, Answer, At, Errors, Item, Measured, Operation, Problem, ProviderBatch, RowResult, Rules, Token, Wire,
};
use crate::desk::parse;
use crate::openai::write_line;
use crate::reply::Reply;
use crate::value::{Fields, Value};

/// As of November 2026, the stricter of two pages.
const RULES: Rules = Rules {
    max_requests: 100_000,
    max_bytes: 512_000_000,
    max_line_bytes: 64 * 1024 * 1024,
    creates_per_hour: None,
    max_batches: None,
    max_queued_requests: None,
    one_model: true,
    error_file: Errors::OwnFile,
    // Nobody says that they are, so a client must not need it.
    tells_unfinished: false,
    expired_has_results: true,
    output_purpose: "batch",
};

/// A line of an input file. The model lives on the job.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    custom_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl Wire for Mistral {
    fn family(&self) -> &'static str {
        "mistral"
    }

    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn file_id(&self, token: Token) -> String {
        token.uuid()
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

    fn measure<'a>(&self, body: &'a [u8], batch: &ProviderBatch) -> Measured<'a> {
        let Ok(mut fields) = parse(body) else {
            return Measured::default();
        };
        let own = fields.text("model").map(|model| Cow::Owned(model.to_owned()));
        add_model(&mut fields, batch);
        Measured { prompt_tokens: batch::prompt_tokens(self, &fields), model: own }
    }

    fn identity<'b>(&self, body: &'b [u8], batch: &ProviderBatch) -> Cow<'b, [u8]> {
        identity(body, batch.model.as_deref())
    }

    fn answer(&self, at: &At<'_>, body: &[u8]) -> Answer {
        let fields = parse(body).map(|mut fields| {
            add_model(&mut fields, at.batch);
            fields
        });
        batch::answer(self, at, fields)
    }

    fn write(&self, line: &mut Vec<u8>, result: &RowResult<'_>) {
        write_line(line, result);
    }

    fn error(&self, _operation: Option<Operation>, status: u16) -> Reply {
        batch::error(self, status, 0)
    }
}

/// What a request of a provider batch leaves to its job.
fn add_model<'a>(fields: &mut Fields<'a>, batch: &'a ProviderBatch) {
    if let (None, Some(model)) = (fields.get("model"), batch.model.as_deref()) {
        fields.0.push(("model".into(), Value::Text(model.into())));
    }
}

/// The body with the model before all else, so that a request is the same on both routes.
pub(super) fn identity<'b>(body: &'b [u8], model: Option<&str>) -> Cow<'b, [u8]> {
    let Ok(mut fields) = serde_json::from_slice::<Map<String, Json>>(body) else {
        return Cow::Borrowed(body);
    };
    let model = fields.shift_remove("model").or_else(|| model.map(Json::from));
    Cow::Owned(json!([model, fields]).to_string().into_bytes())
}
