//! What people see of a job that runs: a bar on a terminal, lines elsewhere.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::bar::Bar;
use super::lines::Lines;
use super::speed::Speed;
use crate::api::{Error, Job, JobStatus};
use crate::command::{Result, Session, text};
use crate::terminal::printable;

pub struct View {
    form: Form,
    speed: Speed,
}

enum Form {
    Bar(Bar),
    Lines(Lines),
}

impl View {
    pub fn new(session: &Session) -> Self {
        let form = if session.terminal.shows_notes() { Form::Bar(Bar::new()) } else { Form::Lines(Lines::default()) };
        Self { form, speed: Speed::default() }
    }

    pub fn show(&mut self, session: &mut Session, job: &Job) -> Result<()> {
        let now = Instant::now();
        self.speed.record(now, job.counts.done());
        let text = self.describe(job, session.time());
        match &mut self.form {
            Form::Bar(bar) => bar.show(job, &text),
            Form::Lines(lines) => {
                if let Some(line) = lines.next(job, &text, now) {
                    session.terminal.note(&line)?;
                }
            }
        }
        Ok(())
    }

    /// Says that the service does not answer just now.
    pub fn silence(&mut self, session: &mut Session, error: &Error) -> Result<()> {
        let text = format!("{}; trying again", printable(&error.to_string()));
        match &mut self.form {
            Form::Bar(bar) => bar.say(&text),
            Form::Lines(lines) => {
                if let Some(line) = lines.silence(&text, Instant::now()) {
                    session.terminal.note(&line)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Form::Bar(bar) = &self.form {
            bar.end();
        }
    }

    fn describe(&self, job: &Job, now: DateTime<Utc>) -> String {
        let counts = &job.counts;
        let mut parts = vec![match job.total_rows() {
            Some(total) => format!("{}/{}", text::count(counts.done()), text::rows(total)),
            None => "reading the input".to_owned(),
        }];
        if job.status == JobStatus::Running {
            if let Some(speed) = self.speed.rows_per_second() {
                parts.push(if speed < 10.0 { format!("{speed:.1} rows/s") } else { format!("{speed:.0} rows/s") });
            }
            if let Some(left) = self.time_left(job, now) {
                parts.push(format!("{} left", text::duration(left)));
            }
        }
        if counts.failed > 0 {
            parts.push(format!("{} failed", text::count(counts.failed)));
        }
        if let Some(cost) = &job.usage.cost_usd {
            parts.push(format!("${cost}"));
        }
        if let Some(reason) = &job.status_reason {
            parts.push(printable(&reason.to_string()));
        }
        parts.join("  ")
    }

    /// The service's own estimate, or else from the speed that we saw.
    fn time_left(&self, job: &Job, now: DateTime<Utc>) -> Option<Duration> {
        if let Some(eta) = job.eta {
            return (eta - now).to_std().ok();
        }
        let left = job.total_rows()?.saturating_sub(job.counts.done());
        #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
        Duration::try_from_secs_f64(left as f64 / self.speed.rows_per_second()?).ok()
    }
}
