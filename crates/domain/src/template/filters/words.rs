//! Filters that make text. Null counts as empty text; numbers, lists and objects as their text.

use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, State};

use super::wrong_input;
use crate::template::rendering::{Builder, Rendering};

/// Bytes that a letter can take in the other case, for each byte that it takes (`ΐ` becomes three letters).
const CASE_GROWTH: usize = 3;

/// As in Jinja.
const TRUNCATE_LENGTH: usize = 255;

pub(super) fn add(environment: &mut Environment) {
    environment.add_filter("capitalize", capitalize);
    environment.add_filter("join", join);
    environment.add_filter("lower", lower);
    environment.add_filter("replace", replace);
    environment.add_filter("string", string);
    environment.add_filter("title", title);
    environment.add_filter("tojson", to_json);
    environment.add_filter("trim", trim);
    environment.add_filter("truncate", truncate);
    environment.add_filter("upper", upper);
}

fn upper(state: &State, value: &Value) -> Result<Value, Error> {
    let rendering = Rendering::of(state)?;
    let text = rendering.text(value)?;
    rendering.take(CASE_GROWTH * text.len())?;
    Ok(Value::from(text.to_uppercase()))
}

fn lower(state: &State, value: &Value) -> Result<Value, Error> {
    let rendering = Rendering::of(state)?;
    let text = rendering.text(value)?;
    rendering.take(CASE_GROWTH * text.len())?;
    Ok(Value::from(text.to_lowercase()))
}

fn capitalize(state: &State, value: &Value) -> Result<Value, Error> {
    let rendering = Rendering::of(state)?;
    let text = rendering.text(value)?;
    let mut rest = text.chars();
    let mut built = Builder::new(&rendering);
    if let Some(first) = rest.next() {
        built.push_char(first.to_uppercase())?;
        rendering.take(CASE_GROWTH * text.len())?;
        built.push(&rest.as_str().to_lowercase())?;
    }
    Ok(built.finish())
}

fn title(state: &State, value: &Value) -> Result<Value, Error> {
    let rendering = Rendering::of(state)?;
    let text = rendering.text(value)?;
    let mut built = Builder::new(&rendering);
    let mut starts_word = true;
    for character in text.chars() {
        if starts_word {
            built.push_char(character.to_uppercase())?;
        } else {
            built.push_char(character.to_lowercase())?;
        }
        starts_word = character.is_whitespace() || matches!(character, '-' | '(' | '{' | '[' | '<');
    }
    Ok(built.finish())
}

fn trim(state: &State, value: &Value, characters: Option<&str>) -> Result<Value, Error> {
    let rendering = Rendering::of(state)?;
    let text = rendering.text(value)?;
    let trimmed = match characters {
        None => text.trim(),
        Some(characters) => text.trim_matches(|character| characters.contains(character)),
    };
    rendering.take(trimmed.len())?;
    Ok(Value::from(trimmed))
}

fn replace(state: &State, value: &Value, from: &Value, to: &Value) -> Result<Value, Error> {
    let rendering = Rendering::of(state)?;
    let (text, from, to) = (rendering.text(value)?, rendering.text(from)?, rendering.text(to)?);
    let found = text.matches(from.as_ref()).count();
    rendering.take(text.len().saturating_add(found.saturating_mul(to.len())))?;
    Ok(Value::from(text.replace(from.as_ref(), &to)))
}

fn join(state: &State, values: &Value, separator: Option<&Value>) -> Result<Value, Error> {
    let rendering = Rendering::of(state)?;
    let separator = separator.map(|separator| rendering.text(separator)).transpose()?;
    let mut built = Builder::new(&rendering);
    for (position, value) in values.try_iter()?.enumerate() {
        if let (Some(separator), true) = (&separator, position > 0) {
            built.push(separator)?;
        }
        built.push(&rendering.text(&value)?)?;
    }
    Ok(built.finish())
}

/// At most `length` characters, the end included, cut between words unless `killwords`.
#[expect(clippy::needless_pass_by_value, reason = "the engine passes named arguments by value")]
fn truncate(
    state: &State,
    value: &Value,
    length: Option<usize>,
    killwords: Option<bool>,
    named: Kwargs,
) -> Result<Value, Error> {
    let length = length.or(named.get("length")?).unwrap_or(TRUNCATE_LENGTH);
    let killwords = killwords.or(named.get("killwords")?).unwrap_or(false);
    let end = named.get::<Option<&str>>("end")?.unwrap_or("...");
    named.assert_all_used()?;
    let rendering = Rendering::of(state)?;
    let text = rendering.text(value)?;
    if text.chars().nth(length).is_none() {
        return Ok(Value::from(text));
    }
    let kept = length.saturating_sub(end.chars().count());
    let cut = text.char_indices().nth(kept).map_or(text.len(), |(offset, _)| offset);
    let cut = if killwords { cut } else { text[..cut].rfind(' ').unwrap_or(cut) };
    let mut built = Builder::new(&rendering);
    built.push(&text[..cut])?;
    built.push(end)?;
    Ok(built.finish())
}

fn string(state: &State, value: &Value) -> Result<Value, Error> {
    Ok(Value::from(Rendering::of(state)?.text(value)?))
}

#[expect(clippy::needless_pass_by_value, reason = "the engine passes named arguments by value")]
fn to_json(state: &State, value: &Value, indent: Option<usize>, named: Kwargs) -> Result<Value, Error> {
    const WIDEST_INDENT: usize = 8;
    let indent = indent.or(named.get("indent")?);
    named.assert_all_used()?;
    if indent.is_some_and(|indent| indent > WIDEST_INDENT) {
        return Err(wrong_input("tojson indents by at most 8 spaces"));
    }
    Rendering::of(state)?.json(value, indent)
}
