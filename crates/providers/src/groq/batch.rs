//! What is Groq's own in `/files` and `/batches`.

use crate::openai::batch::{OPENAI, Variant};

pub(super) const VARIANT: Variant = Variant { window, expiry: None, ..OPENAI };

const DAY_S: u32 = 86_400;

/// `24h` to `7d`.
fn window(seconds: u32) -> String {
    match seconds.clamp(DAY_S, 7 * DAY_S) {
        DAY_S => "24h".to_owned(),
        seconds if seconds.is_multiple_of(DAY_S) => format!("{}d", seconds / DAY_S),
        seconds => format!("{}h", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_from_a_day_to_a_week() {
        let windows = [0, DAY_S, DAY_S + 1, 36 * 3_600, 2 * DAY_S, 7 * DAY_S, u32::MAX].map(window);
        assert_eq!(windows, ["24h", "24h", "25h", "36h", "2d", "7d", "7d"]);
    }
}
