//! Follows a list from page to page.

use clap::Args;

use super::Session;
use crate::api::{Answer, Page};

/// Longest page that is asked for at once.
const MAX_PAGE: u32 = 100;

/// How much of a list to show.
#[derive(Debug, Clone, Copy, Args)]
pub struct Extent {
    /// Show at most this many
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Show all, page after page
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

impl Extent {
    pub const ALL: Self = Self { limit: MAX_PAGE, all: true };
}

/// Prints a list page by page, so that memory does not grow with it: tables with `header` on a terminal, or JSON lines.
///
/// `fetch` gives the page of a length after a cursor; `row` gives a table's cells.
pub async fn print<T>(
    session: &mut Session,
    extent: Extent,
    header: &[&str],
    row: impl Fn(&T) -> Vec<String>,
    fetch: impl AsyncFn(&Session, u32, Option<&str>) -> crate::api::Result<Page<T>>,
) -> super::Result<()> {
    let mut left = if extent.all { u32::MAX } else { extent.limit };
    let mut cursor: Option<String> = None;
    let mut is_first = true;
    loop {
        let mut page = fetch(session, left.min(MAX_PAGE), cursor.as_deref()).await?;
        page.data.truncate(left as usize);
        print_page(session, header, &row, &page.data, is_first)?;
        is_first = false;
        if !extent.all {
            left -= u32::try_from(page.data.len()).expect("truncated to a u32");
        }
        match page.next_cursor {
            Some(next) if left > 0 && cursor.as_ref() != Some(&next) => cursor = Some(next),
            _ => break,
        }
    }
    Ok(())
}

fn print_page<T>(
    session: &mut Session,
    header: &[&str],
    row: impl Fn(&T) -> Vec<String>,
    data: &[Answer<T>],
    is_first: bool,
) -> super::Result<()> {
    if session.json {
        for answer in data {
            session.terminal.json(&answer.json)?;
        }
    } else if is_first || !data.is_empty() {
        session.terminal.table(header, data.iter().map(|answer| row(answer)).collect(), is_first)?;
    }
    Ok(())
}
