//! The one place that writes to the terminal.
//!
//! Results go to standard output; progress, notes and errors to standard error, so that a pipe carries results only.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Width, presets};
use serde_json::Value;

/// Columns below which wrapping helps nobody.
const NARROWEST: u16 = 60;

/// Cells of this width are not broken into lines.
const SHORT_CELL: u16 = 14;

/// Where a command writes.
pub struct Terminal {
    results: Box<dyn Write + Send>,
    notes: Box<dyn Write + Send>,
    shows_results: bool,
    shows_notes: bool,
}

impl Terminal {
    /// The process's own standard output and error.
    pub fn standard() -> Self {
        Self {
            shows_results: io::stdout().is_terminal(),
            shows_notes: io::stderr().is_terminal(),
            results: Box::new(io::stdout()),
            notes: Box::new(io::stderr()),
        }
    }

    /// Writes somewhere else, as to a pipe.
    pub fn to(results: impl Write + Send + 'static, notes: impl Write + Send + 'static) -> Self {
        Self { results: Box::new(results), notes: Box::new(notes), shows_results: false, shows_notes: false }
    }

    /// Whether a person reads the results, not a program.
    pub fn shows_results(&self) -> bool {
        self.shows_results
    }

    /// Whether a person reads the notes, so that they may move.
    pub fn shows_notes(&self) -> bool {
        self.shows_notes
    }

    /// A line of result.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.results, "{text}")
    }

    /// A JSON value on one line of result.
    pub fn json(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.results, "{value}")
    }

    /// Bytes of result as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.results.write_all(bytes)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.results.flush()
    }

    /// A line for people, beside the result.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.notes, "{text}")
    }

    /// A page of rows: with rules and a header on a terminal, as plain columns in a pipe, where only the first page has the
    /// header.
    pub fn table(&mut self, header: &[&str], rows: Vec<Vec<String>>, is_first: bool) -> io::Result<()> {
        let mut table = comfy_table::Table::new();
        let rows = rows.into_iter().map(|row| row.iter().map(|cell| printable(cell)).collect::<Vec<_>>());
        if self.shows_results {
            table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header.iter().copied()).add_rows(rows);
            fit(&mut table);
        } else {
            table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
            if is_first {
                table.set_header(header.iter().copied());
            }
            table.add_rows(rows);
            table.column_iter_mut().for_each(|column| {
                column.set_padding((0, 2));
            });
        }
        writeln!(self.results, "{}", table.trim_fmt())
    }
}

/// Wraps long cells where the terminal is too narrow, but not ids, which stand first and get copied.
fn fit(table: &mut comfy_table::Table) {
    if table.width().is_none_or(|width| width < NARROWEST) {
        table.set_content_arrangement(ContentArrangement::Disabled);
        return;
    }
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let widths = table.column_max_content_widths();
    for (column, width) in table.column_iter_mut().zip(widths) {
        let padding = column.padding_width();
        column.set_constraint(match column.index {
            0 => ColumnConstraint::ContentWidth,
            _ => ColumnConstraint::LowerBoundary(Width::Fixed(width.min(SHORT_CELL) + padding)),
        });
    }
}

/// A text on one line that can't move the cursor or change colours: answers of models may hold anything.
pub fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// Ends when somebody presses Ctrl-C.
pub async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler Ctrl-C ends the process, as ever.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\nc\td"), "a [31mb c d");
    }
}
