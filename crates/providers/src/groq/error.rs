//! What is Groq's own among errors.

use domain::failure::Class;

use crate::openai::error::{self, Judgement, Signs};

pub(super) fn classify(status: u16, signs: &Signs) -> Judgement {
    match status {
        // `capacity_exceeded`, of the flex tier.
        498 => (Class::Wait, "provider_overloaded"),
        _ => error::classify(status, signs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_capacity_is_waited_for() {
        let class = |status| classify(status, &Signs::default()).0;
        assert_eq!((class(498), class(413), class(429)), (Class::Wait, Class::Permanent, Class::Wait));
    }
}
