//! Meters on the operands of operators.
//!
//! Operators of the engine read whole texts and lists and cost one instruction. So every variable that is an operand
//! passes through a filter which takes the work from the rendering's budget: `a == b` becomes `(a|metered) == (b|metered)`.

use std::ops::Range;

/// What an operand passes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meter {
    Operand,
    /// The right side of `in`: in a null, nothing is found.
    Container,
}

impl Meter {
    pub(super) fn filter(self) -> &'static str {
        match self {
            Self::Operand => "metered",
            Self::Container => "metered_container",
        }
    }
}

/// Puts the meters into the source. Ranges are given from the inside out.
pub(super) fn insert(source: &str, meters: &[(Range<usize>, Meter)]) -> String {
    let mut insertions: Vec<(usize, String)> = meters
        .iter()
        .flat_map(|(range, meter)| [(range.start, "(".to_owned()), (range.end, format!("|{})", meter.filter()))])
        .collect();
    insertions.sort_by_key(|(offset, _)| *offset);
    let mut metered = String::with_capacity(source.len() + 24 * meters.len());
    let mut copied = 0;
    for (offset, text) in insertions {
        metered.push_str(&source[copied..offset]);
        metered.push_str(&text);
        copied = offset;
    }
    metered.push_str(&source[copied..]);
    metered
}
