//! Deficit round robin over one level.

/// Tokens of one turn for a weight of 1. Small beside a second's worth of any limit that matters, so that tenants mix finely.
pub(super) const QUANTUM: f64 = 1_000.0;

/// One of those who take turns.
pub(super) struct Entry<'a> {
    pub weight: f64,
    pub credit: &'a mut f64,
    /// Of its next item. `None`: it has none.
    pub cost: Option<f64>,
}

impl Entry<'_> {
    fn can_pay(&self) -> bool {
        self.cost.is_some_and(|cost| *self.credit >= cost)
    }
}

/// Moves `turn` on to whoever can pay for its next item; each time that it comes to somebody, that one gets its quantum. Nothing is paid,
/// so that asking twice gives the same answer.
pub(super) fn next_turn(ring: &mut [Entry<'_>], turn: &mut usize) -> Option<usize> {
    if ring.is_empty() {
        return None;
    }
    *turn %= ring.len();
    if ring[*turn].can_pay() {
        return Some(*turn);
    }
    // Whole rounds in which nobody could pay are given at once.
    let rounds = |entry: &Entry<'_>| Some(((entry.cost? - *entry.credit) / (QUANTUM * entry.weight)).ceil());
    let idle_rounds = ring.iter().filter_map(rounds).fold(f64::INFINITY, f64::min) - 1.0;
    if !idle_rounds.is_finite() {
        return None;
    }
    for entry in ring.iter_mut() {
        match entry.cost {
            Some(_) => *entry.credit += idle_rounds.max(0.0) * QUANTUM * entry.weight,
            None => *entry.credit = entry.credit.min(0.0),
        }
    }
    // The round after those suffices for one of them; a second one makes up for rounding.
    for _ in 0..2 * ring.len() {
        *turn = (*turn + 1) % ring.len();
        let entry = &mut ring[*turn];
        if entry.cost.is_some() {
            *entry.credit += QUANTUM * entry.weight;
        }
        if entry.can_pay() {
            return Some(*turn);
        }
    }
    None
}
