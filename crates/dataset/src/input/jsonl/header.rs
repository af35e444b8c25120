//! The first lines of a JSONL file.

use std::collections::HashSet;

use serde::de::IgnoredAny;
use serde_json::Deserializer;

use super::records::Records;
use crate::input::limits::MAX_HEADER_BYTES;
use crate::input::schema::{check_names_of_lines, text_columns};
use crate::input::text::{Sample, UTF8_BOM, UTF16_BOMS, sample};
use crate::input::{InputError, InputSchema, Layout, Pinned};
use crate::json_lines;
use crate::stores::Location;

pub(in crate::input) async fn inspect(location: &Location, pinned: &Pinned) -> Result<InputSchema, InputError> {
    parse(&sample(location, pinned).await?)
}

fn parse(sample: &Sample) -> Result<InputSchema, InputError> {
    let bytes = &sample.bytes[..];
    if UTF16_BOMS.iter().any(|bom| bytes.starts_with(bom)) {
        return Err(InputError::InvalidEncoding { offset: 0 });
    }
    let text = bytes.strip_prefix(UTF8_BOM).unwrap_or(bytes);
    let first_record = (bytes.len() - text.len()) as u64;
    if text.trim_ascii_start().starts_with(b"[") {
        return Err(InputError::NotJsonl { what: "one JSON array" });
    }
    let mut names = Names::default();
    let mut rest = text;
    let mut records = Records::new(first_record, 1);
    while records.next(&mut rest) || (sample.whole && records.finish()) {
        names.add(records.bytes(), records.start_line());
    }
    names.check(text, sample.whole)?;
    let names: Vec<&str> = names.in_order.iter().map(String::as_str).collect();
    check_names_of_lines(names.iter().copied())?;
    let layout = Layout::Jsonl { compression: sample.compression, first_record };
    Ok(InputSchema { columns: text_columns(&names), layout })
}

/// The names in the lines so far.
#[derive(Default)]
struct Names {
    known: HashSet<String>,
    in_order: Vec<String>,
    lines: u64,
    sound: u64,
    /// Whether the first line is an object.
    begins_well: bool,
}

impl Names {
    fn add(&mut self, line: &[u8], number: u64) {
        self.lines += 1;
        let entries = std::str::from_utf8(line).ok().and_then(|line| json_lines::check(line, number).ok());
        let Some(entries) = entries else { return };
        self.sound += 1;
        self.begins_well |= self.lines == 1;
        for (name, _) in entries {
            if !self.known.contains(&*name) {
                self.known.insert(name.clone().into_owned());
                self.in_order.push(name.into_owned());
            }
        }
    }

    /// Whether these are lines of objects, some of which may be bad.
    fn check(&self, text: &[u8], whole: bool) -> Result<(), InputError> {
        match (self.lines, self.sound) {
            (0, _) if whole => Err(InputError::Empty),
            (0, _) => Err(InputError::FirstLineTooLarge { limit: MAX_HEADER_BYTES }),
            _ if self.begins_well => Ok(()),
            _ if spans_lines(text, whole) => Err(InputError::NotJsonl { what: "JSON that spans lines" }),
            (_, 0) => Err(InputError::NotJsonl { what: "lines that are no JSON objects" }),
            _ => Ok(()),
        }
    }
}

/// Whether the text is JSON that goes on past its first line.
fn spans_lines(text: &[u8], whole: bool) -> bool {
    let text = text.trim_ascii_start();
    let first_line = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    let mut values = Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => values.byte_offset() > first_line,
        Some(Err(error)) => error.is_eof() && !whole,
        None => false,
    }
}
