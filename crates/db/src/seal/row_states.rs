//! How a chunk's rows ended, in a byte each.

use domain::outcome::Status;

/// Most error codes that a job tells apart in its summaries; further ones are shown as [`OTHER`].
const MAX_CODES: usize = 62;
/// Stands for a code past [`MAX_CODES`].
pub const OTHER: &str = "other";

/// A byte per row: the status in the two low bits, above them 0 or one more than the code's index.
pub(super) fn row_states(codes: &mut Vec<String>, rows: &[(Status, Option<&str>)]) -> Vec<u8> {
    let mut index_of = |code: &str| -> u8 {
        let found = codes.iter().position(|known| known == code);
        let index = found.or_else(|| {
            (codes.len() < MAX_CODES).then(|| {
                codes.push(code.to_owned());
                codes.len() - 1
            })
        });
        u8::try_from(index.unwrap_or(MAX_CODES) + 1).expect("at most 63")
    };
    rows.iter().map(|(status, code)| *status as u8 | code.map_or(0, &mut index_of) << 2).collect()
}

/// Status and error code of a summary's byte.
pub fn row_state(codes: &[String], byte: u8) -> (Status, Option<&str>) {
    let status = Status::from_code(byte & 0b11).expect("two bits have four values, and so has the status");
    let code = (byte >> 2).checked_sub(1).map(|index| codes.get(usize::from(index)).map_or(OTHER, String::as_str));
    (status, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_state_keeps_status_and_code() {
        let mut codes = vec!["known".to_owned()];
        let rows = [(Status::Succeeded, None), (Status::Failed, Some("known")), (Status::Expired, Some("new"))];
        let bytes = row_states(&mut codes, &rows);
        assert_eq!(codes, ["known", "new"]);
        let read: Vec<_> = bytes.iter().map(|byte| row_state(&codes, *byte)).collect();
        assert_eq!(read, rows);
    }

    #[test]
    fn codes_past_the_table_are_other() {
        let names: Vec<String> = (0..100).map(|number| format!("code_{number}")).collect();
        let rows: Vec<_> = names.iter().map(|name| (Status::Failed, Some(name.as_str()))).collect();
        let mut codes = Vec::new();
        let bytes = row_states(&mut codes, &rows);
        assert_eq!(codes.len(), MAX_CODES);
        assert_eq!(row_state(&codes, bytes[61]), (Status::Failed, Some("code_61")));
        assert_eq!(row_state(&codes, bytes[62]), (Status::Failed, Some(OTHER)));
    }
}
