//! Progress as a bar on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::api::Job;

pub struct Bar(ProgressBar);

impl Bar {
    pub fn new() -> Self {
        let style = ProgressStyle::with_template("{prefix:>10} [{bar:40}] {percent:>3}%\n           {wide_msg}")
            .expect("the template is constant and tested")
            .progress_chars("=> ");
        Self(ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style))
    }

    pub fn show(&self, job: &Job, text: &str) {
        // Before the input is read nothing is known to be left, which would show as done.
        let (length, position) = job.total_rows().map_or((1, 0), |total| (total, job.counts.done()));
        self.0.set_length(length);
        self.0.set_position(position);
        self.0.set_prefix(job.status.name().to_owned());
        self.say(text);
    }

    pub fn say(&self, text: &str) {
        self.0.set_message(text.to_owned());
        self.0.tick();
    }

    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid() {
        Bar::new().end();
    }
}
