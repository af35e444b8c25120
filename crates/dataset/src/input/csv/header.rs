//! The first line of a CSV file.

use crate::input::limits::{MAX_COLUMNS, MAX_HEADER_BYTES};
use crate::input::schema::{check_names, text_columns};
use crate::input::text::{Sample, UTF8_BOM, UTF16_BOMS, sample};
use crate::input::{InputError, InputSchema, Layout, Pinned};
use crate::stores::Location;

use super::records::Records;

/// Delimiters that are suggested when a comma finds one column only.
const OTHER_DELIMITERS: [u8; 4] = [b';', b'\t', b'|', b','];

pub(in crate::input) async fn inspect(
    location: &Location,
    pinned: &Pinned,
    delimiter: u8,
) -> Result<InputSchema, InputError> {
    parse(&sample(location, pinned).await?, delimiter)
}

fn parse(sample: &Sample, delimiter: u8) -> Result<InputSchema, InputError> {
    let Sample { bytes: sample, whole, compression } = sample;
    let (sample, whole) = (&sample[..], *whole);
    if UTF16_BOMS.iter().any(|bom| sample.starts_with(bom)) {
        return Err(InputError::InvalidEncoding { offset: 0 });
    }
    let had_bom = sample.starts_with(UTF8_BOM);
    let mut rest = if had_bom { &sample[UTF8_BOM.len()..] } else { sample };
    let start = (sample.len() - rest.len()) as u64;
    let mut records = Records::new(delimiter, MAX_COLUMNS, start, 1);
    if !next(&mut records, &mut rest, whole)? {
        return Err(if whole { InputError::Empty } else { InputError::HeaderTooLarge { limit: MAX_HEADER_BYTES } });
    }
    if records.fields() > MAX_COLUMNS {
        return Err(InputError::TooManyColumns { found: records.fields(), limit: MAX_COLUMNS });
    }
    let end = usize::try_from(records.position()).unwrap_or(sample.len());
    check_encoding(&sample[..end])?;
    let names = texts(&records)?;
    if let [_] = names[..] {
        suggest_delimiter(sample, start, whole, delimiter)?;
    }
    check_names(names.iter().map(String::as_str))?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (first_record, first_line) = (records.position(), records.line());
    let layout = Layout::Csv { delimiter, had_bom, compression: *compression, first_record, first_line };
    if whole && !next(&mut records, &mut rest, whole)? {
        return Err(InputError::Empty);
    }
    Ok(InputSchema { columns: text_columns(&names), layout })
}

fn next(records: &mut Records, rest: &mut &[u8], whole: bool) -> Result<bool, InputError> {
    Ok(records.next(rest) || (whole && records.finish()?))
}

/// The header is UTF-8. UTF-16 without a mark shows as NULs.
fn check_encoding(header: &[u8]) -> Result<(), InputError> {
    let valid = std::str::from_utf8(header).map_or_else(|error| error.valid_up_to(), str::len);
    match header.iter().position(|byte| *byte == 0).unwrap_or(valid).min(valid) {
        offset if offset < header.len() => Err(InputError::InvalidEncoding { offset: offset as u64 }),
        _ => Ok(()),
    }
}

fn texts(records: &Records) -> Result<Vec<String>, InputError> {
    let mut from = 0;
    let cells = records.ends().iter().map(|end| {
        let cell = String::from_utf8(records.bytes()[from..*end].to_vec());
        from = *end;
        cell.map_err(|_| InputError::InvalidEncoding { offset: 0 })
    });
    cells.collect()
}

/// One column may be the truth. It is not if another delimiter cuts the header and the first row into equally many
/// cells.
fn suggest_delimiter(sample: &[u8], start: u64, whole: bool, delimiter: u8) -> Result<(), InputError> {
    for suggestion in OTHER_DELIMITERS.into_iter().filter(|other| *other != delimiter) {
        let mut rest = &sample[usize::try_from(start).unwrap_or_default()..];
        let mut records = Records::new(suggestion, MAX_COLUMNS, start, 1);
        if !matches!(next(&mut records, &mut rest, whole), Ok(true)) {
            continue;
        }
        let count = records.fields();
        let same = matches!(next(&mut records, &mut rest, whole), Ok(true)) && records.fields() == count;
        if count > 1 && same {
            return Err(InputError::HeaderMismatch { suggestion, count });
        }
    }
    Ok(())
}
