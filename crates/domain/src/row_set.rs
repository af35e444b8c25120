//! A set of a chunk's rows, one bit each.

use std::fmt;

/// Rows of one chunk, by their offset in it. Bits are kept most significant first, as Postgres' `bit varying` has them.
#[derive(Clone, PartialEq, Eq)]
pub struct RowSet {
    bytes: Vec<u8>,
    length: usize,
}

impl RowSet {
    /// No rows of a chunk of `length` rows.
    pub fn empty(length: usize) -> Self {
        Self { bytes: vec![0; length.div_ceil(8)], length }
    }

    /// All rows of a chunk of `length` rows.
    pub fn full(length: usize) -> Self {
        let mut set = Self { bytes: vec![0xff; length.div_ceil(8)], length };
        set.clear_padding();
        set
    }

    /// From bytes as [`RowSet::as_bytes`] gives them; bits past `length` are ignored.
    pub fn from_bytes(mut bytes: Vec<u8>, length: usize) -> Self {
        bytes.resize(length.div_ceil(8), 0);
        let mut set = Self { bytes, length };
        set.clear_padding();
        set
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Rows in the chunk, in the set or not.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Rows in the set.
    pub fn count(&self) -> usize {
        self.bytes.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.iter().all(|byte| *byte == 0)
    }

    /// # Panics
    /// If the chunk has no such row.
    pub fn insert(&mut self, offset: usize) {
        assert!(offset < self.length, "row {offset} of a chunk of {} rows", self.length);
        self.bytes[offset / 8] |= 0x80 >> (offset % 8);
    }

    pub fn remove(&mut self, offset: usize) {
        if offset < self.length {
            self.bytes[offset / 8] &= !(0x80 >> (offset % 8));
        }
    }

    pub fn contains(&self, offset: usize) -> bool {
        offset < self.length && self.bytes[offset / 8] & (0x80 >> (offset % 8)) != 0
    }

    /// Rows of the set before an offset.
    pub fn rank(&self, offset: usize) -> usize {
        self.iter().take_while(|row| *row < offset).count()
    }

    /// Offsets in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.length).filter(|offset| self.contains(*offset))
    }

    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.combine(other, |mine, theirs| mine & !theirs)
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.combine(other, |mine, theirs| mine | theirs)
    }

    /// The first `limit` rows of the set.
    #[must_use]
    pub fn first(&self, limit: usize) -> Self {
        let mut first = Self::empty(self.length);
        self.iter().take(limit).for_each(|offset| first.insert(offset));
        first
    }

    fn combine(&self, other: &Self, bits: impl Fn(u8, u8) -> u8) -> Self {
        assert_eq!(self.length, other.length, "sets of different chunks");
        let bytes = self.bytes.iter().zip(&other.bytes).map(|(mine, theirs)| bits(*mine, *theirs)).collect();
        Self { bytes, length: self.length }
    }

    fn clear_padding(&mut self) {
        if !self.length.is_multiple_of(8)
            && let Some(last) = self.bytes.last_mut()
        {
            *last &= !(0xff >> (self.length % 8));
        }
    }
}

impl fmt::Debug for RowSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowSet({} of {})", self.count(), self.length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_set_has_no_padding_bits() {
        for length in 0..40 {
            assert_eq!(RowSet::full(length).count(), length);
            assert_eq!(RowSet::full(length).minus(&RowSet::full(length)), RowSet::empty(length));
        }
    }

    proptest! {
        #[test]
        fn behaves_as_a_set_of_offsets(offsets in prop::collection::btree_set(0_usize..200, 0..200), limit in 0_usize..200) {
            let mut set = RowSet::empty(200);
            for offset in &offsets {
                set.insert(*offset);
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), offsets.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.count(), offsets.len());
            prop_assert_eq!(set.first(limit).count(), offsets.len().min(limit));
            let rest = RowSet::full(200).minus(&set);
            prop_assert_eq!(rest.count(), 200 - offsets.len());
            prop_assert_eq!(rest.union(&set), RowSet::full(200));
            let copy = RowSet::from_bytes(set.as_bytes().to_vec(), 200);
            prop_assert_eq!(copy, set);
        }
    }
}
