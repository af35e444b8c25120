//! Formats of a submission's input and output.

use domain::format::{Format, InputFormat};

use crate::body::Fields;

const INPUTS: [(&str, Option<InputFormat>); 5] = [
    ("csv", Some(InputFormat::Csv)),
    ("jsonl", Some(InputFormat::Jsonl)),
    ("parquet", Some(InputFormat::Parquet)),
    ("tsv", Some(InputFormat::Tsv)),
    ("openai", Some(InputFormat::Openai)),
];

const OUTPUTS: [(&str, Option<Format>); 4] = [
    ("csv", Some(Format::Csv)),
    ("jsonl", Some(Format::Jsonl)),
    ("parquet", Some(Format::Parquet)),
    ("tsv", Some(Format::Tsv)),
];

/// The format that is said, else the one that the URI's ending implies. Compression is told by the file's bytes.
pub(super) fn of_input(fields: &mut Fields<'_>, uri: Option<&str>) -> Option<InputFormat> {
    if fields.has("format") {
        return fields.choice("format", &INPUTS);
    }
    implied(fields, uri, None).map(InputFormat::from)
}

/// The format that is said, else the one that the URI's ending implies, else the `input`'s.
pub(super) fn of_output(fields: &mut Fields<'_>, uri: Option<&str>, input: Option<Format>) -> Option<Format> {
    let is_said = fields.has("format");
    let said = fields.choice("format", &OUTPUTS);
    // Whatever the format, these promise other bytes.
    if let Some(ending) = ending(uri, &[".gz", ".zst"]) {
        fields.report("uri", "not_yet_supported", format!("outputs are not compressed yet: leave `{ending}` out"));
        return None;
    }
    if is_said {
        return said;
    }
    // An unknown format of the input was reported there.
    implied(fields, uri, input.or(Some(Format::Csv)))
}

fn implied(fields: &mut Fields<'_>, uri: Option<&str>, otherwise: Option<Format>) -> Option<Format> {
    let found = uri.and_then(Format::from_path).or(otherwise);
    if found.is_none() && uri.is_some() {
        fields.report("format", "required", "the URI's ending tells no format: say `csv`, `tsv`, `jsonl` or `parquet`");
    }
    found
}

/// The byte between the cells of CSV, as a text of one ASCII character that is no quote and no line end.
pub(super) fn delimiter(fields: &mut Fields<'_>, format: Option<InputFormat>) -> Option<u8> {
    let text = fields.text("delimiter")?;
    if format.is_some_and(|format| format.file().delimiter().is_none()) {
        fields.report("delimiter", "invalid_value", "only the formats `csv` and `tsv` have one");
        return None;
    }
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Some(*byte),
        _ => {
            fields.report("delimiter", "invalid_value", "write one ASCII character that is no quote and no line end");
            None
        }
    }
}

fn ending(uri: Option<&str>, endings: &[&'static str]) -> Option<&'static str> {
    let name = uri?.to_ascii_lowercase();
    endings.iter().copied().find(|ending| name.ends_with(ending))
}
