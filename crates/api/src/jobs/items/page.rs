//! Reads items: how they stand from the database, what was answered from where it lies.

use std::collections::HashMap;

use dataset::results;
use db::TenantTx;
use db::items::ChunkItems;
use domain::ids::{JobId, TenantId};
use domain::outcome::{Outcome, Status};

use super::status::ItemStatus;
use crate::App;
use crate::jobs::item_view::Item;
use crate::problem::Problem;

/// Which items a page holds.
#[derive(Debug, Clone, Copy)]
pub(in crate::jobs) struct Wanted {
    pub job_id: JobId,
    pub from_row: u64,
    pub status: Option<ItemStatus>,
    pub limit: usize,
}

#[derive(Debug, Default)]
pub(in crate::jobs) struct Page {
    pub items: Vec<Item>,
    /// Where the next page begins.
    pub next_row: Option<u64>,
}

/// Chunks that one page looks at. Of each that is sealed, a file is read.
const CHUNKS: usize = 8;
/// Rows of an unsealed chunk whose outcomes are read at once.
const WINDOW: usize = 128;
/// A page ends with the answer that takes it past this many bytes.
const PAGE_BYTES: usize = 8 << 20;
/// How often a page is read again because a chunk was sealed beside it.
const TRIES: usize = 5;

/// # Errors
/// 404 if the tenant has no such job.
pub(in crate::jobs) async fn read(app: &App, tenant_id: TenantId, wanted: Wanted) -> Result<Page, Problem> {
    for _ in 0..TRIES {
        let mut tx = app.db.tenant(tenant_id).await?;
        let found = find(&mut tx, wanted).await?;
        tx.commit().await?;
        if let Some(found) = found {
            return answers(app, tenant_id, wanted.job_id, found).await;
        }
    }
    Err(Problem::unavailable(
        "temporarily_unavailable",
        "the job is moving too fast to be read at this moment; try again",
    ))
}

/// An item, or where it lies.
enum Place {
    Here(Box<Item>),
    File { path: String, offset: usize },
}

struct Found {
    places: Vec<(u64, Place)>,
    next_row: Option<u64>,
    /// Of rows in files of provider batches only the file tells how they ended.
    ended: Option<Status>,
}

/// `None` if a chunk was sealed between two statements: its outcomes have left the database.
async fn find(tx: &mut TenantTx, wanted: Wanted) -> Result<Option<Found>, Problem> {
    let generation = db::jobs::get(tx, wanted.job_id).await?.ok_or_else(Problem::not_found)?.generation;
    let ended = match wanted.status {
        Some(ItemStatus::Ended(status)) => Some(status),
        Some(ItemStatus::Pending | ItemStatus::Running) | None => None,
    };
    let mut found = Found { places: Vec::new(), next_row: None, ended };
    let Some(first) = db::chunks::of_row(tx, wanted.job_id, wanted.from_row).await? else {
        return Ok(Some(found));
    };
    let status = wanted.status.map(ItemStatus::name);
    let most = i64::try_from(CHUNKS + 1).expect("a small number");
    let chunks = db::items::chunks(tx, wanted.job_id, generation, first, status, most).await?;
    for (position, chunk) in chunks.iter().enumerate() {
        if position == CHUNKS {
            found.next_row = Some(chunk.first_row);
            break;
        }
        // One more than fits tells where the next page begins.
        let room = wanted.limit + 1 - found.places.len();
        let offsets = offsets(chunk, wanted);
        match &chunk.summary {
            Some(summary) => found.places.extend(offsets.take(room).map(|offset| {
                (chunk.first_row + offset as u64, Place::File { path: summary.results_path.clone(), offset })
            })),
            None => match unsealed(tx, wanted, generation, chunk, offsets.collect(), room).await? {
                Some(places) => found.places.extend(places),
                None => return Ok(None),
            },
        }
        if found.places.len() > wanted.limit {
            found.next_row = found.places.pop().map(|(row, _)| row);
            break;
        }
    }
    Ok(Some(found))
}

/// Rows that may be wanted. Of an unsealed chunk's closed rows only the outcome tells how they ended.
fn offsets(chunk: &ChunkItems, wanted: Wanted) -> impl Iterator<Item = usize> + '_ {
    let skipped = usize::try_from(wanted.from_row.saturating_sub(chunk.first_row)).unwrap_or(usize::MAX);
    (skipped..chunk.closed.length()).filter(move |offset| {
        let closed = chunk.closed.contains(*offset);
        match (wanted.status, &chunk.summary) {
            (None, _) => true,
            (Some(ItemStatus::Pending), _) => !closed && !chunk.in_flight.contains(*offset),
            (Some(ItemStatus::Running), _) => !closed && chunk.in_flight.contains(*offset),
            (Some(ItemStatus::Ended(status)), Some(summary)) => ended_as(summary.row_states.get(*offset), status),
            (Some(ItemStatus::Ended(_)), None) => closed,
        }
    })
}

fn ended_as(row_state: Option<&u8>, status: Status) -> bool {
    row_state.is_some_and(|byte| db::seal::row_state(&[], *byte).0 == status)
}

/// Up to `room` wanted rows of a chunk whose outcomes are in the database. `None` if they no longer are.
async fn unsealed(
    tx: &mut TenantTx,
    wanted: Wanted,
    generation: i32,
    chunk: &ChunkItems,
    offsets: Vec<usize>,
    room: usize,
) -> Result<Option<Vec<(u64, Place)>>, Problem> {
    let mut places = Vec::new();
    let files = db::outcomes::results_files(tx, wanted.job_id, generation, chunk.chunk_no, 1).await?;
    for window in offsets.chunks(WINDOW.min(room)) {
        let (Some(start), Some(end)) = (window.first(), window.last()) else {
            continue;
        };
        let (first_row, rows) = (chunk.first_row + *start as u64, end - start + 1);
        let any_closed = window.iter().any(|offset| chunk.closed.contains(*offset));
        let any_open = window.iter().any(|offset| !chunk.closed.contains(*offset));
        let mut outcomes: HashMap<u64, Outcome> = HashMap::new();
        if any_closed {
            outcomes.extend(db::outcomes::range(tx, wanted.job_id, generation, first_row, rows).await?);
        }
        let mut attempts = Vec::new();
        if any_open {
            attempts = db::items::attempts(tx, wanted.job_id, generation, first_row, rows, false).await?;
        }
        for offset in window {
            let row = chunk.first_row + *offset as u64;
            let item = if chunk.closed.contains(*offset) {
                let Some(outcome) = outcomes.remove(&row) else {
                    let Some(file) = files.iter().find(|file| file.rows.contains(*offset)) else {
                        return Ok(None);
                    };
                    places.push((row, Place::File { path: file.path.clone(), offset: file.rows.rank(*offset) }));
                    if places.len() == room {
                        return Ok(Some(places));
                    }
                    continue;
                };
                if matches!(wanted.status, Some(ItemStatus::Ended(status)) if status != outcome.status) {
                    continue;
                }
                Item::closed(row, outcome)
            } else {
                Item::open(row, chunk.in_flight.contains(*offset), &attempts)
            };
            places.push((row, Place::Here(Box::new(item))));
            if places.len() == room {
                return Ok(Some(places));
            }
        }
    }
    Ok(Some(places))
}

/// Reads the files that rows lie in, one at a time. No transaction is open.
async fn answers(app: &App, tenant_id: TenantId, job_id: JobId, found: Found) -> Result<Page, Problem> {
    let files = app.work.job(tenant_id, job_id);
    let mut page = Page { items: Vec::with_capacity(found.places.len()), next_row: found.next_row };
    let mut open: (String, Vec<Option<Outcome>>) = Default::default();
    let mut bytes = 0;
    for (row, place) in found.places {
        if bytes > PAGE_BYTES {
            page.next_row = Some(row);
            break;
        }
        let item = match place {
            Place::Here(item) => *item,
            Place::File { path, offset } => {
                if open.0 != path {
                    let file = files.read(&path).await.map_err(|error| Problem::of_work_file(&error))?;
                    open = (path, results::decode(file)?.into_iter().map(Some).collect());
                }
                let outcome = open.1.get_mut(offset).and_then(Option::take).ok_or_else(Problem::defect)?;
                if found.ended.is_some_and(|status| status != outcome.status) {
                    continue;
                }
                Item::closed(row, outcome)
            }
        };
        bytes += item.response.as_ref().map_or(0, String::len);
        page.items.push(item);
    }
    Ok(page)
}
