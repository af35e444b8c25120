//! `gristmill check` finds whatever is wrong with a job's output or its records.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _};
use tests::{Rig, RigOptions};

const ROWS: u64 = 10;

/// A completed job, which is clean.
struct Checked {
    rig: Rig,
    job: String,
    output: PathBuf,
}

impl Checked {
    async fn new() -> anyhow::Result<Self> {
        Self::of_format("csv").await
    }

    async fn of_format(format: &str) -> anyhow::Result<Self> {
        let name = format!("out.{format}");
        let rig = Rig::start(RigOptions::default()).await?;
        let input = rig.write_rows("in.csv", (0..ROWS).map(|row| format!("row {row}")))?;
        let job = rig.submit(&input, &name).await?;
        rig.wait(&job, Duration::from_mins(1)).await?;
        let output = rig.objects().join(&name);
        let checked = Self { rig, job, output };
        checked.assert_clean()?;
        Ok(checked)
    }

    fn assert_clean(&self) -> anyhow::Result<()> {
        let (clean, words) = self.rig.check(&self.job)?;
        assert!(clean, "{words}");
        assert!(words.contains("10 rows: 10 succeeded"), "{words}");
        Ok(())
    }

    fn assert_found(&self, what: &str) -> anyhow::Result<()> {
        let (clean, words) = self.rig.check(&self.job)?;
        assert!(!clean, "{what} was not found");
        assert!(words.contains(what), "`{what}` is not among: {words}");
        Ok(())
    }

    /// Changes the output's lines, sees it found, and puts them back.
    fn find(&self, change: impl FnOnce(&mut Vec<String>), what: &str) -> anyhow::Result<()> {
        let before = std::fs::read_to_string(&self.output)?;
        let mut lines: Vec<String> = before.lines().map(str::to_owned).collect();
        change(&mut lines);
        std::fs::write(&self.output, lines.join("\n") + "\n")?;
        self.assert_found(what)?;
        self.assert_found("SHA-256")?;
        std::fs::write(&self.output, before)?;
        self.assert_clean()
    }

    /// Changes the database, sees it found, and changes it back.
    async fn find_in_database(&self, change: &str, back: &str, what: &str) -> anyhow::Result<()> {
        self.execute(change).await?;
        self.assert_found(what)?;
        self.execute(back).await?;
        self.assert_clean()
    }

    async fn execute(&self, statement: &str) -> anyhow::Result<()> {
        let mut superuser = sqlx::PgConnection::connect(&self.rig.database_url).await?;
        let done = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut superuser).await?;
        assert_eq!(done.rows_affected(), 1, "{statement}");
        Ok(superuser.close().await?)
    }
}

/// Replaces a line's text; the header is line 0, and input row 0 line 1.
fn replace(lines: &mut [String], line: usize, from: &str, to: &str) {
    assert!(lines[line].contains(from), "{}", lines[line]);
    lines[line] = lines[line].replacen(from, to, 1);
}

#[tokio::test]
async fn every_change_of_the_output_is_found() -> anyhow::Result<()> {
    let checked = Checked::new().await?;
    checked.find(|lines| drop(lines.pop()), "the output ends before input row 9")?;
    checked.find(|lines| drop(lines.remove(5)), "row 4: column `id` differs")?;
    checked.find(|lines| lines.push(lines[10].clone()), "the output goes on after its 10 input rows")?;
    checked.find(|lines| lines.insert(5, lines[5].clone()), "row 5: column `id` differs")?;
    checked.find(|lines| lines.swap(3, 4), "row 2: column `id` differs")?;
    checked.find(|lines| replace(lines, 7, "row 6", "row six"), "row 6: column `text` differs")?;
    checked.find(|lines| replace(lines, 8, "succeeded", "failed"), "row 7: the database and the output disagree")?;
    checked.find(
        |lines| replace(lines, 8, "succeeded", "cancelled"),
        "succeeded: the database counts 10, and the output has 9",
    )?;
    checked.find(|lines| replace(lines, 8, "succeeded", "done"), "row 7: it has no status")?;
    checked.find(|lines| lines.truncate(2), "the output ends before input row 1")?;
    checked.find(|lines| replace(lines, 0, "llm_status", "llm_state"), "the output's columns are")
}

#[tokio::test]
async fn every_change_of_an_output_s_lines_is_found() -> anyhow::Result<()> {
    let checked = Checked::of_format("jsonl").await?;
    checked.find(|lines| drop(lines.pop()), "the output ends before input row 9")?;
    checked.find(|lines| drop(lines.remove(5)), "row 5: column `id` differs")?;
    checked.find(|lines| lines.push(lines[9].clone()), "the output goes on after its 10 input rows")?;
    checked.find(|lines| replace(lines, 6, "row 6", "row six"), "row 6: column `text` differs")?;
    checked.find(|lines| replace(lines, 6, "\"text\"", "\"words\""), "row 6: column `text` differs")?;
    checked.find(|lines| replace(lines, 7, "succeeded", "failed"), "row 7: the database and the output disagree")?;
    checked.find(|lines| replace(lines, 7, "succeeded", "done"), "row 7: it has no status")?;
    checked.find(|lines| replace(lines, 7, "llm_model", "llm_made"), "row 7: its columns are not the input's")?;
    checked.find(|lines| replace(lines, 7, "{", ""), "row 7: the output's line is no JSON object")
}

#[tokio::test]
async fn bytes_that_no_row_shows_are_found() -> anyhow::Result<()> {
    let checked = Checked::new().await?;
    let before = std::fs::read(&checked.output)?;
    std::fs::write(&checked.output, [&before[..], b"\n"].concat())?;
    checked.assert_found("were recorded")?;
    std::fs::write(&checked.output, &before)?;
    checked.assert_clean()
}

#[tokio::test]
async fn records_that_disagree_with_the_output_are_found() -> anyhow::Result<()> {
    let checked = Checked::new().await?;
    for (change, back, what) in [
        (
            "UPDATE chunk_summaries SET row_states = set_byte(row_states, 2, 1)",
            "UPDATE chunk_summaries SET row_states = set_byte(row_states, 2, 0)",
            "row 2: the database and the output disagree",
        ),
        (
            "UPDATE chunks SET succeeded = succeeded - 1",
            "UPDATE chunks SET succeeded = succeeded + 1",
            "succeeded: the database counts 9, and the output has 10",
        ),
        ("UPDATE chunks SET failed = 1", "UPDATE chunks SET failed = 0", "failed: the database counts 1"),
        ("UPDATE jobs SET total_rows = 11", "UPDATE jobs SET total_rows = 10", "rows: the database counts 11"),
        (
            "UPDATE chunk_summaries SET generation = 7",
            "UPDATE chunk_summaries SET generation = 0",
            "chunk 0 has no summary",
        ),
        (
            "UPDATE chunk_summaries SET row_states = substr(row_states, 1, 9)",
            r"UPDATE chunk_summaries SET row_states = row_states || '\x00'",
            "chunk 0 has 10 rows, and its summary 9",
        ),
    ] {
        checked.find_in_database(change, back, what).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_input_that_was_changed_after_the_job_is_found() -> anyhow::Result<()> {
    let checked = Checked::new().await?;
    let input = checked.rig.objects().join("in.csv");
    let text = std::fs::read_to_string(&input)?;
    std::fs::write(&input, text.replace("row 3", "row three"))?;
    let (clean, words) = checked.rig.check(&checked.job)?;
    assert!(!clean && words.contains("was replaced after the job was submitted"), "{words}");
    Ok(())
}
