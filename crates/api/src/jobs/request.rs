//! Reads a submission: all that can be checked with nothing but the body.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use domain::format::{Format, InputFormat};
use domain::job::Spec;
use domain::job::spec::{IfExists, InputSpec, OutputSpec};
use domain::provider::ModelName;
use domain::storage_uri::StorageUri;
use serde_json::Value;

use super::{formats, messages, params};
use crate::body::Fields;
use crate::problem::{Problem, Problems};

/// A submission that is sound in itself.
#[derive(Debug)]
pub(super) struct Request {
    pub spec: Spec,
    pub model: ModelName,
    pub input: StorageUri,
    pub output: Option<StorageUri>,
    pub deadline: DateTime<Utc>,
}

const LONGEST_NAME: usize = 200;
const DEFAULT_DEADLINE: Duration = Duration::days(7);
const LATEST_DEADLINE: Duration = Duration::days(30);
const DEFAULT_PREFIX: &str = "llm_";
const LONGEST_PREFIX: usize = 64;

/// Fields of the contract whose work is not done yet.
const LATER: [&str; 11] = [
    "response_schema",
    "priority",
    "webhook",
    "sample",
    "dedupe",
    "cache",
    "hooks",
    "context",
    "images",
    "truncated_is_error",
    "retention_days",
];

/// # Errors
/// All that is wrong, at once.
pub(super) fn check(body: Value, now: DateTime<Utc>) -> Result<Request, Problem> {
    let mut problems = Problems::default();
    let request = Fields::of_body(body, &mut problems).and_then(|fields| read(fields, now));
    problems.check()?;
    request.ok_or_else(Problem::defect)
}

/// `None` only where a problem was reported.
fn read(mut body: Fields<'_>, now: DateTime<Utc>) -> Option<Request> {
    let name = body.label("name", LONGEST_NAME);
    let input = input(&mut body);
    let input_format = input.as_ref().map(|(_, spec)| spec.format);
    let output = output(&mut body, input_format.map(InputFormat::file));
    let model = model(&mut body);
    body.choice("task", &[("chat", Some(())), ("embedding", None)]);
    let prompt = match input_format {
        Some(InputFormat::Openai) => messages::none(&mut body),
        _ => messages::prompt(&mut body),
    };
    let params = params::params(&mut body);
    let limits = params::limits(&mut body);
    let deadline = deadline(&mut body, now);
    let metadata = metadata(&mut body);
    body.later(&LATER);
    body.finish();
    let (input, input_spec) = input?;
    let (output, output_spec) = output?;
    let model = model?;
    let spec = Spec {
        name,
        input: input_spec,
        output: output_spec,
        model: model.to_string(),
        prompt,
        params,
        limits,
        metadata,
    };
    Some(Request { spec, model, input, output, deadline: deadline? })
}

fn input(body: &mut Fields<'_>) -> Option<(StorageUri, InputSpec)> {
    body.require("input");
    let mut fields = body.object("input")?;
    fields.require("uri");
    let text = fields.text("uri");
    let uri = text.as_deref().and_then(|text| uri(&mut fields, text));
    let format = formats::of_input(&mut fields, text.as_deref());
    let delimiter = formats::delimiter(&mut fields, format);
    fields.later(&["id_column", "on_bad_row"]);
    fields.finish();
    let (uri, format) = (uri?, format?);
    let spec = InputSpec { uri: uri.to_string(), format, delimiter };
    Some((uri, spec))
}

fn output(body: &mut Fields<'_>, input_format: Option<Format>) -> Option<(Option<StorageUri>, OutputSpec)> {
    let default = |format| OutputSpec {
        uri: None,
        format,
        column_prefix: DEFAULT_PREFIX.to_owned(),
        if_exists: IfExists::default(),
    };
    let Some(mut fields) = body.object("output") else {
        return input_format.map(|format| (None, default(format)));
    };
    let text = fields.text("uri");
    let uri = text.as_deref().map(|text| uri(&mut fields, text));
    let format = formats::of_output(&mut fields, text.as_deref(), input_format);
    let column_prefix = column_prefix(&mut fields);
    let if_exists =
        fields.choice("if_exists", &[("error", Some(IfExists::Error)), ("replace", Some(IfExists::Replace))]);
    fields.later(&["flatten", "escape_formulas"]);
    fields.finish();
    let uri = match uri {
        Some(uri) => Some(uri?),
        None => None,
    };
    let text = uri.as_ref().map(ToString::to_string);
    Some((uri, OutputSpec { uri: text, column_prefix, if_exists: if_exists.unwrap_or_default(), ..default(format?) }))
}

fn uri(fields: &mut Fields<'_>, text: &str) -> Option<StorageUri> {
    text.parse()
        .map_err(|error: domain::storage_uri::InvalidStorageUri| fields.report("uri", error.code(), error.to_string()))
        .ok()
}

fn column_prefix(fields: &mut Fields<'_>) -> String {
    let Some(prefix) = fields.text("column_prefix") else {
        return DEFAULT_PREFIX.to_owned();
    };
    let mut bytes = prefix.bytes();
    let starts_well = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    if !starts_well || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') || prefix.len() > LONGEST_PREFIX
    {
        let message = format!("write 1 to {LONGEST_PREFIX} letters, digits and underscores, with no digit first");
        fields.report("column_prefix", "invalid_value", message);
    }
    prefix
}

fn model(body: &mut Fields<'_>) -> Option<ModelName> {
    body.require("model");
    if body.is_list("model") {
        body.later(&["model"]);
        return None;
    }
    let name = body.text("model")?;
    name.parse()
        .map_err(|error: domain::provider::InvalidModelName| body.report("model", "invalid_value", error.to_string()))
        .ok()
}

fn deadline(body: &mut Fields<'_>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if !body.has("deadline") {
        return Some(now + DEFAULT_DEADLINE);
    }
    let deadline = body.time("deadline")?;
    if deadline > now && deadline <= now + LATEST_DEADLINE {
        return Some(deadline);
    }
    body.report(
        "deadline",
        "out_of_range",
        format!("it must be in the future, by at most {} days", LATEST_DEADLINE.num_days()),
    );
    None
}

const MOST_METADATA: usize = 16;
const LONGEST_KEY: usize = 64;
const LONGEST_VALUE: usize = 512;

fn metadata(body: &mut Fields<'_>) -> BTreeMap<String, String> {
    let Some(fields) = body.object("metadata") else {
        return BTreeMap::new();
    };
    let pointer = fields.own_pointer().to_owned();
    let rest = fields.into_rest();
    if rest.len() > MOST_METADATA {
        body.report("metadata", "metadata_limit", format!("{} pairs; at most {MOST_METADATA} are kept", rest.len()));
    }
    let mut metadata = BTreeMap::new();
    for (key, value) in rest {
        let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
        let Value::String(value) = value else {
            body.problems().report(pointer, "invalid_type", "expected a string");
            continue;
        };
        if key.contains('\0') || value.contains('\0') {
            body.problems().report(pointer, "invalid_string", "a NUL character can't be kept");
        } else if key.is_empty() || key.chars().count() > LONGEST_KEY || value.chars().count() > LONGEST_VALUE {
            let message = format!("keys have 1 to {LONGEST_KEY} characters, values at most {LONGEST_VALUE}");
            body.problems().report(pointer, "metadata_limit", message);
        }
        metadata.insert(key, value);
    }
    metadata
}

#[cfg(test)]
mod tests;
