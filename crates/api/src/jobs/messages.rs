//! `system`, `prompt` and `messages` of a submission.

use domain::prompt::{Content, MessageSpec, Part, Prompt, PromptSpec, Role};
use domain::template::Columns;
use serde_json::Value;

use crate::body::Fields;
use crate::problem::Problems;

const MOST_MESSAGES: usize = 100;
const MOST_PARTS: usize = 100;

/// Checks all that can be checked before the input's columns are known.
pub(super) fn prompt(body: &mut Fields<'_>) -> PromptSpec {
    let spec = PromptSpec { system: body.text("system"), prompt: body.text("prompt"), messages: messages(body) };
    let no_columns = Columns::new(std::iter::empty::<&str>());
    for error in Prompt::compile(&spec, &no_columns).err().unwrap_or_default() {
        if error.problem.code() != "template_unknown_variable" {
            body.problems().report(error.pointer, error.problem.code(), error.problem.to_string());
        }
    }
    spec
}

/// Where the input's lines bring their own messages.
pub(super) fn none(body: &mut Fields<'_>) -> PromptSpec {
    for name in ["system", "prompt", "messages"] {
        if body.take(name).is_some() {
            body.report(
                name,
                "invalid_value",
                "with the input format `openai` each line brings its messages: leave this out",
            );
        }
    }
    PromptSpec::default()
}

fn messages(body: &mut Fields<'_>) -> Option<Vec<MessageSpec>> {
    let values = body.list("messages", MOST_MESSAGES)?;
    let pointer = body.pointer("messages");
    let problems = body.problems();
    let messages = values.into_iter().enumerate();
    Some(messages.filter_map(|(position, value)| message(value, format!("{pointer}/{position}"), problems)).collect())
}

fn message(value: Value, pointer: String, problems: &mut Problems) -> Option<MessageSpec> {
    let mut fields = Fields::of(value, pointer, problems)?;
    fields.require("role");
    fields.require("content");
    let role = fields.choice(
        "role",
        &[("system", Some(Role::System)), ("user", Some(Role::User)), ("assistant", Some(Role::Assistant))],
    );
    let pointer = fields.pointer("content");
    let content = match fields.take("content") {
        Some(Value::String(text)) => Some(Content::Text(text)),
        Some(Value::Array(parts)) if parts.len() <= MOST_PARTS => {
            let parts = parts.into_iter().enumerate();
            let problems = fields.problems();
            Some(Content::Parts(
                parts.filter_map(|(position, value)| part(value, format!("{pointer}/{position}"), problems)).collect(),
            ))
        }
        Some(_) => {
            fields.report(
                "content",
                "invalid_type",
                format!("expected a string, or a list of at most {MOST_PARTS} parts"),
            );
            None
        }
        None => None,
    };
    fields.finish();
    Some(MessageSpec { role: role?, content: content? })
}

/// The place of an image is kept, so that the prompt's own check tells that it can't be sent.
fn part(value: Value, pointer: String, problems: &mut Problems) -> Option<Part> {
    let mut fields = Fields::of(value, pointer, problems)?;
    fields.require("type");
    let is_image = fields.choice("type", &[("text", Some(false)), ("image", Some(true))]);
    let part = if is_image? {
        fields.text("url").map(|url| Part::Image { url })
    } else {
        fields.require("text");
        fields.text("text").map(|text| Part::Text { text })
    };
    fields.finish();
    part
}
