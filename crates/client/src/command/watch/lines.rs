//! Progress as lines, for logs and pipes: few, because they stay.

use std::time::Duration;

use tokio::time::Instant;

use crate::api::{Job, JobStatus, Reason};

/// Between lines of the same state.
const INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct Lines {
    state: Option<(JobStatus, Option<Reason>)>,
    last: Option<(Instant, String)>,
}

impl Lines {
    /// The line to print, if it is time for one: at each new state, or when something changed and the last is old.
    pub fn next(&mut self, job: &Job, text: &str, now: Instant) -> Option<String> {
        let line = format!("{:<10}  {text}", job.status);
        let state = (job.status.clone(), job.status_reason.clone());
        let is_new_state = self.state.as_ref() != Some(&state);
        self.state = Some(state);
        self.say(line, is_new_state, now)
    }

    /// As [`Self::next`], where there is no answer.
    pub fn silence(&mut self, text: &str, now: Instant) -> Option<String> {
        let was_answered = self.state.take().is_some();
        self.say(text.to_owned(), was_answered, now)
    }

    fn say(&mut self, line: String, at_once: bool, now: Instant) -> Option<String> {
        let is_due = match &self.last {
            Some((time, last)) => at_once || (*last != line && now.duration_since(*time) >= INTERVAL),
            None => true,
        };
        if is_due {
            self.last = Some((now, line.clone()));
        }
        is_due.then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: &str) -> Job {
        let json =
            serde_json::json!({"id": "job_1", "status": status, "model": "a/b", "created_at": "2026-11-21T00:00:00Z"});
        serde_json::from_value(json).expect("a job")
    }

    #[test]
    fn a_line_comes_at_a_new_state_or_when_something_changed_and_time_has_passed() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut lines = Lines::default();
        assert_eq!(lines.next(&job("queued"), "", start).as_deref(), Some("queued      "));
        assert!(lines.next(&job("running"), "1/9", after(1)).is_some());
        assert!(lines.next(&job("running"), "2/9", after(2)).is_none());
        assert!(lines.next(&job("running"), "3/9", after(11)).is_some());
        assert!(lines.next(&job("running"), "3/9", after(30)).is_none());
        assert!(lines.silence("nobody answers", after(31)).is_some());
        assert!(lines.silence("nobody answers", after(60)).is_none());
        assert!(lines.next(&job("running"), "3/9", after(61)).is_some());
    }
}
