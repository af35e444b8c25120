//! Formats of a submission's input and output.

use domain::format::{Format, InputFormat};

use crate::body::Fields;

const INPUTS: [(&str, Option<InputFormat>); 5] = [
    ("csv", Some(InputFormat::Csv)),
    ("jsonl", Some(InputFormat::Jsonl)),
    ("parquet", Some(InputFormat::Parquet)),
    ("openai", Some(InputFormat::Openai)),
    ("tsv", None),
];

const OUTPUTS: [(&str, Option<Format>); 4] =
    [("csv", Some(Format::Csv)), ("jsonl", Some(Format::Jsonl)), ("parquet", Some(Format::Parquet)), ("tsv", None)];

/// Endings of files that can't be read or written yet where no format is said.
const LATER: [&str; 1] = [".tsv"];

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
    if let Some(ending) = ending(uri, &LATER) {
        let message = format!("`{ending}` files are not supported yet; supported: csv, jsonl, parquet");
        fields.report("uri", "not_yet_supported", message);
        return None;
    }
    let found = uri.and_then(Format::from_path).or(otherwise);
    if found.is_none() && uri.is_some() {
        fields.report("format", "required", "the URI's ending tells no format: say `csv`, `jsonl` or `parquet`");
    }
    found
}

fn ending(uri: Option<&str>, endings: &[&'static str]) -> Option<&'static str> {
    let name = uri?.to_ascii_lowercase();
    endings.iter().copied().find(|ending| name.ends_with(ending))
}
