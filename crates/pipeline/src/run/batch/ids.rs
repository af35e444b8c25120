//! What a request is called, so that its result is known by its name whatever the order.

use domain::ids::DispatchId;

/// Names of one dispatch's requests: the dispatch, and the row's number in the whole input. Letters, digits, `_` and `-` only, and at most
/// 51 of them: within what every provider takes.
#[derive(Debug, Clone)]
pub(super) struct RequestIds {
    prefix: String,
}

impl RequestIds {
    pub(super) fn new(dispatch_id: DispatchId) -> Self {
        Self { prefix: format!("{dispatch_id}-") }
    }

    /// Writes a row's name over what is in `name`.
    pub(super) fn write(&self, row: u64, name: &mut String) {
        use std::fmt::Write as _;
        name.clear();
        name.push_str(&self.prefix);
        write!(name, "{row}").expect("a String takes every write");
    }

    /// The row that a name stands for. `None`: it is none of this dispatch's.
    pub(super) fn row(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(&self.prefix)?;
        // Only the one spelling that was sent.
        let row: u64 = digits.parse().ok()?;
        (row == 0 && digits == "0" || row > 0 && !digits.starts_with(['0', '+'])).then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_name_leads_back_to_its_row() {
        let ids = RequestIds::new(DispatchId(Uuid::now_v7()));
        let mut name = String::new();
        for row in [0, 7, 10_000_000, u64::MAX] {
            ids.write(row, &mut name);
            assert_eq!(ids.row(&name), Some(row), "{name}");
            assert!(name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
        }
    }

    #[test]
    fn foreign_and_misspelt_names_are_unknown() {
        let ids = RequestIds::new(DispatchId(Uuid::nil()));
        let other = RequestIds::new(DispatchId(Uuid::max()));
        let mut name = String::new();
        other.write(1, &mut name);
        assert_eq!(ids.row(&name), None);
        ids.write(1, &mut name);
        for wrong in [name.replace("-1", "-01"), name.replace("-1", "-+1"), name.replace("-1", "-"), format!("{name}x")]
        {
            assert_eq!(ids.row(&wrong), None, "{wrong}");
        }
    }
}
