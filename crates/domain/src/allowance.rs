//! Who may queue how much at a provider: one allowance of a limit group, shared by weight.

/// What one tenant holds of an allowance, and wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Of the tenant.
    pub weight: u32,
    /// Input tokens of its provider batches that are queued or running.
    pub tokens: u64,
    /// Those provider batches.
    pub batches: u32,
    /// Input tokens of its smallest provider batch that waits. `None`: none waits.
    pub wants: Option<u64>,
}

/// What a limit group may hold. `None`: no limit is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    pub tokens: Option<u64>,
    pub batches: Option<u32>,
}

/// Whether a provider batch may be created now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    Now,
    /// When others have given something back.
    Later,
    /// It is larger than all that there is.
    Never,
}

impl Allowance {
    /// Decides for a provider batch of `need` tokens of the tenant `mine`, who is one of `tenants`.
    ///
    /// While nobody else waits, a tenant may hold everything. While somebody does, it may hold its weighted share, at least one
    /// provider batch, and what is free goes to whoever is furthest below its share.
    pub fn grant(self, need: u64, mine: usize, tenants: &[Share]) -> Grant {
        if self.tokens.is_some_and(|limit| need > limit) {
            return Grant::Never;
        }
        let others = || tenants.iter().enumerate().filter(|(index, _)| *index != mine).map(|(_, share)| share);
        if !self.fits(need, tenants) {
            return Grant::Later;
        }
        let me = tenants[mine];
        let waiting = others().filter(|other| other.wants.is_some_and(|wants| self.fits(wants, tenants)));
        let is_further_below = |other: &Share| self.is_further_below(other, &me);
        if waiting.clone().any(is_further_below) || (waiting.count() > 0 && self.is_over_share(need, me, tenants)) {
            return Grant::Later;
        }
        Grant::Now
    }

    fn fits(self, need: u64, tenants: &[Share]) -> bool {
        let tokens: u64 = tenants.iter().map(|share| share.tokens).sum();
        let batches: u32 = tenants.iter().map(|share| share.batches).sum();
        self.tokens.is_none_or(|limit| tokens.saturating_add(need) <= limit)
            && self.batches.is_none_or(|limit| batches < limit)
    }

    /// Whether `other` holds less for its weight than `me`. Equals take turns by whoever comes first.
    fn is_further_below(self, other: &Share, me: &Share) -> bool {
        let held = |share: &Share| {
            let tokens = if self.tokens.is_some() { share.tokens } else { 0 };
            let batches = if self.batches.is_some() { share.batches } else { 0 };
            (u128::from(tokens), u128::from(batches))
        };
        let (mine, theirs) = (held(me), held(other));
        let (my_weight, their_weight) = (u128::from(me.weight), u128::from(other.weight));
        theirs.0 * my_weight < mine.0 * their_weight || theirs.1 * my_weight < mine.1 * their_weight
    }

    /// With the new one, more than its part of the whole; its only one never is.
    fn is_over_share(self, need: u64, me: Share, tenants: &[Share]) -> bool {
        let weights: u64 = tenants
            .iter()
            .filter(|share| share.wants.is_some() || share.batches > 0)
            .map(|share| u64::from(share.weight))
            .sum();
        let part = |whole: u64| u128::from(whole) * u128::from(me.weight) / u128::from(weights.max(1));
        me.batches > 0
            && (self.tokens.is_some_and(|limit| u128::from(me.tokens + need) > part(limit))
                || self.batches.is_some_and(|limit| u128::from(me.batches + 1) > part(limit.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(weight: u32, tokens: u64, batches: u32, wants: Option<u64>) -> Share {
        Share { weight, tokens, batches, wants }
    }

    const HUNDRED: Allowance = Allowance { tokens: Some(100), batches: None };

    #[test]
    fn alone_a_tenant_may_hold_everything() {
        assert_eq!(HUNDRED.grant(100, 0, &[share(1, 0, 0, Some(100))]), Grant::Now);
        assert_eq!(HUNDRED.grant(20, 0, &[share(1, 80, 4, Some(20)), share(9, 0, 0, None)]), Grant::Now);
        assert_eq!(HUNDRED.grant(21, 0, &[share(1, 80, 4, Some(21))]), Grant::Later);
        assert_eq!(HUNDRED.grant(101, 0, &[share(1, 0, 0, Some(101))]), Grant::Never);
        assert_eq!(Allowance::default().grant(u64::MAX, 0, &[share(1, 0, 0, Some(1))]), Grant::Now);
    }

    #[test]
    fn while_another_waits_a_share_is_all() {
        let tenants = [share(1, 40, 2, Some(20)), share(1, 40, 2, Some(20))];
        assert_eq!(HUNDRED.grant(20, 0, &tenants), Grant::Later);
        let tenants = [share(3, 40, 2, Some(20)), share(1, 20, 1, Some(20))];
        assert_eq!(HUNDRED.grant(20, 0, &tenants), Grant::Now);
        assert_eq!(HUNDRED.grant(20, 1, &tenants), Grant::Later);
    }

    #[test]
    fn what_is_free_goes_to_whoever_is_furthest_below_its_share() {
        let tenants = [share(1, 30, 1, Some(30)), share(1, 0, 0, Some(30)), share(1, 30, 1, Some(30))];
        assert_eq!([0, 1, 2].map(|mine| HUNDRED.grant(30, mine, &tenants)), [Grant::Later, Grant::Now, Grant::Later]);
    }

    #[test]
    fn the_first_of_a_small_share_is_let_through() {
        let mut tenants = vec![share(1, 0, 0, Some(25)); 10];
        tenants[9] = share(1, 50, 2, Some(25));
        assert_eq!(HUNDRED.grant(25, 0, &tenants), Grant::Now);
        assert_eq!(HUNDRED.grant(25, 9, &tenants), Grant::Later);
    }

    #[test]
    fn one_who_waits_for_what_does_not_fit_holds_nobody_up() {
        let tenants = [share(1, 50, 1, Some(20)), share(1, 0, 0, Some(90))];
        assert_eq!(HUNDRED.grant(20, 0, &tenants), Grant::Now);
    }

    #[test]
    fn provider_batches_are_counted_alike() {
        let four = Allowance { tokens: None, batches: Some(4) };
        assert_eq!(four.grant(9, 0, &[share(1, 0, 3, Some(9))]), Grant::Now);
        assert_eq!(four.grant(9, 0, &[share(1, 0, 4, Some(9))]), Grant::Later);
        assert_eq!(four.grant(9, 0, &[share(1, 0, 2, Some(9)), share(1, 0, 1, Some(9))]), Grant::Later);
        assert_eq!(four.grant(9, 1, &[share(1, 0, 2, Some(9)), share(1, 0, 1, Some(9))]), Grant::Now);
    }
}
