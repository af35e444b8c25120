//! How fast rows get done.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Over how long the speed is averaged.
const WINDOW: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub struct Speed {
    samples: VecDeque<(Instant, u64)>,
}

impl Speed {
    /// Notes how many rows were done at a time.
    pub fn record(&mut self, time: Instant, done: u64) {
        self.samples.push_back((time, done));
        // One sample before the window stays, so that the window is covered.
        while self.samples.get(1).is_some_and(|(second, _)| time.duration_since(*second) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// None until something was seen to get done.
    pub fn rows_per_second(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let seconds = last.0.duration_since(first.0).as_secs_f64();
        let rows = last.1.saturating_sub(first.1);
        #[expect(clippy::cast_precision_loss, reason = "a speed for people")]
        (rows > 0 && seconds > 0.0).then(|| rows as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_samples_do_not_count() {
        let start = Instant::now();
        let mut speed = Speed::default();
        assert_eq!(speed.rows_per_second(), None);
        for second in 0..=60 {
            let done = if second < 30 { second * 1_000 } else { 30_000 + (second - 30) * 10 };
            speed.record(start + Duration::from_secs(second), done);
        }
        assert!((speed.rows_per_second().expect("rows were done") - 10.0).abs() < 1e-9);
        assert_eq!(speed.samples.len(), 16);
    }
}
