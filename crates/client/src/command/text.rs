//! Numbers and times as people read them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use indicatif::{HumanBytes, HumanCount};

/// With separators: `3,201`.
pub fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

pub fn bytes(number: u64) -> String {
    HumanBytes(number).to_string()
}

/// `3,201 rows`, `1 row`.
pub fn rows(number: u64) -> String {
    format!("{} {}", count(number), if number == 1 { "row" } else { "rows" })
}

/// The two largest units: `340 ms`, `12.3 s`, `4m 05s`, `2h 10m`, `3d 04h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// To the second: `2026-11-21 04:46:58`, UTC.
pub fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A decimal amount of US dollars; unknown is a dash.
pub fn dollars(amount: Option<&str>) -> String {
    amount.map_or_else(|| "-".to_owned(), |amount| format!("${amount}"))
}

/// A text that may be absent.
pub fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_their_two_largest_units() {
        let shown = [(0.34, "340 ms"), (12.3, "12.3 s"), (245.0, "4m 05s"), (7_805.0, "2h 10m"), (273_600.0, "3d 04h")];
        for (seconds, text) in shown {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), text);
        }
    }
}
