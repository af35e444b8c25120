//! Between domain values and the types that Postgres has.

use domain::row_set::RowSet;
use sqlx::types::BitVec;

pub(crate) fn to_bits(rows: &RowSet) -> BitVec {
    let mut bits = BitVec::from_bytes(rows.as_bytes());
    bits.truncate(rows.length());
    bits
}

/// As Postgres reads bits from text: for arrays, which queries can't bind as bits.
pub(crate) fn to_bit_text(rows: &RowSet) -> String {
    (0..rows.length()).map(|offset| if rows.contains(offset) { '1' } else { '0' }).collect()
}

pub(crate) fn from_bits(bits: &BitVec) -> RowSet {
    RowSet::from_bytes(bits.to_bytes(), bits.len())
}

/// Counters are kept as Postgres' signed 64 bits; the sums of what one database can hold fit.
pub(crate) fn to_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn to_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

pub(crate) fn to_u64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(crate) fn to_u32(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// Postgres' text holds everything but NUL.
pub(crate) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
