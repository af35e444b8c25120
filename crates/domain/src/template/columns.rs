//! The names that a template may use.

use std::collections::HashMap;
use std::sync::Arc;

/// An input's columns by position. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Columns(Arc<Names>);

#[derive(Debug)]
struct Names {
    in_order: Vec<Arc<str>>,
    positions: HashMap<Arc<str>, usize>,
}

impl Columns {
    /// Columns in the order of the file. Where a name occurs twice, it means the first.
    pub fn new<Name: Into<Arc<str>>>(names: impl IntoIterator<Item = Name>) -> Self {
        let in_order: Vec<Arc<str>> = names.into_iter().map(Into::into).collect();
        let mut positions = HashMap::with_capacity(in_order.len());
        for (position, name) in in_order.iter().enumerate() {
            positions.entry(Arc::clone(name)).or_insert(position);
        }
        Self(Arc::new(Names { in_order, positions }))
    }

    pub fn names(&self) -> &[Arc<str>] {
        &self.0.in_order
    }

    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.positions.get(name).copied()
    }

    /// The column that was probably meant: the same letters and digits in any case and with any separators,
    /// else at most one typing error in three characters.
    pub(super) fn nearest(&self, name: &str) -> Option<&str> {
        let wanted = simplified(name);
        let tolerated = (wanted.chars().count() / 3).max(1);
        self.names()
            .iter()
            .map(|candidate| (strsim::osa_distance(&wanted, &simplified(candidate)), candidate))
            .filter(|(distance, _)| *distance <= tolerated)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, candidate)| candidate.as_ref())
    }
}

/// Long names are cut, because the distance of two names costs the product of their lengths.
fn simplified(name: &str) -> String {
    const LONGEST: usize = 100;
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::Columns;

    #[test]
    fn nearest_column_ignores_case_and_separators_and_forgives_typing_errors() {
        let columns = Columns::new(["Title", "Major Genre", "US Gross"]);
        assert_eq!(columns.nearest("titel"), Some("Title"));
        assert_eq!(columns.nearest("major_genre"), Some("Major Genre"));
        assert_eq!(columns.nearest("USGros"), Some("US Gross"));
        assert_eq!(columns.nearest("director"), None);
    }

    #[test]
    fn a_name_that_occurs_twice_means_the_first() {
        let columns = Columns::new(["a", "b", "a"]);
        assert_eq!(columns.position("a"), Some(0));
        assert_eq!(columns.names().len(), 3);
    }
}
