//! Items and output, of chunks before and after they are sealed.

use std::time::Duration;

use bytes::Bytes;
use dataset::work::{WorkFile, Writer};
use db::chunks::NewChunk;
use db::seal::Sealed;
use db::steps::StepLease;
use domain::ids::{JobId, TenantId, WorkerId};
use domain::job::Event;
use domain::outcome::{ItemError, Outcome, Status};
use domain::row_set::RowSet;
use serde_json::Value;
use uuid::Uuid;

use crate::app::TestApp;

fn failed(code: &str) -> Outcome {
    Outcome::unsent(Status::Failed, ItemError::new(code, "it can't be sent"))
}

async fn claim(app: &TestApp) -> StepLease {
    let mut tx = app.db.scheduler().await.expect("a transaction");
    let worker = WorkerId(Uuid::now_v7());
    let lease =
        db::steps::claim(&mut tx, worker, Duration::from_mins(1), 1).await.expect("steps").pop().expect("a step");
    tx.commit().await.expect("a commit");
    lease
}

/// A running job of five rows: two that failed, in a chunk that is sealed, and an open one, a failed one and an open one, in another.
async fn job(app: &TestApp) -> String {
    let id = app.submit().await["id"].as_str().expect("an id").to_owned();
    let job_id: JobId = id.parse().expect("an id");
    let tenant_id: TenantId = app.tenant_id.parse().expect("an id");
    let lease = claim(app).await;
    let mut tx = app.db.tenant(tenant_id).await.expect("a transaction");
    db::chunks::begin_plan(&mut tx, &lease).await.expect("planning");
    let sealed = [(0, failed("a")), (1, failed("b"))];
    let open = [(1, failed("a"))];
    let chunk = |chunk_no, first_row, row_count, unsendable| NewChunk {
        chunk_no,
        first_row,
        row_count,
        bytes: 1,
        tokens: 1,
        input_path: "unread",
        unsendable,
    };
    db::chunks::add(&mut tx, &lease, &chunk(0, 0, 2, &sealed), &Value::Null).await.expect("a chunk");
    db::chunks::add(&mut tx, &lease, &chunk(1, 2, 3, &open), &Value::Null).await.expect("a chunk");
    db::chunks::end_plan(&mut tx, &lease, 5, 2, None).await.expect("the end of plan");
    tx.commit().await.expect("a commit");

    let lease = claim(app).await;
    let file = WorkFile::ChunkResults { chunk: 0, generation: 0, writer: Writer::Step { epoch: 1 } };
    let outcomes = sealed.map(|(_, outcome)| Outcome { response: Some("words".into()), ..outcome });
    let results = dataset::results::encode(&(0..).zip(&outcomes).collect::<Vec<_>>()).expect("a file");
    app.work.job(tenant_id, job_id).put(file, results).await.expect("a file");
    let sealed = Sealed {
        chunk_no: 0,
        first_row: 0,
        generation: 0,
        closed: &RowSet::full(2),
        rows: &[(Status::Failed, Some("a")), (Status::Failed, Some("b"))],
        results_path: &file.to_string(),
        attempts_path: None,
        part_path: "unread",
        unfinished: <_>::default(),
    };
    let mut tx = app.db.tenant(tenant_id).await.expect("a transaction");
    db::seal::finish(&mut tx, &lease, &sealed).await.expect("a sealed chunk");
    tx.commit().await.expect("a commit");
    id
}

/// Row, status, code and answer of each item.
fn brief(page: &Value) -> Vec<(u64, &str, Option<&str>, Option<&str>)> {
    let items = page["data"].as_array().expect("a list").iter();
    items
        .map(|item| {
            let row = item["row"].as_u64().expect("a row");
            (row, item["status"].as_str().expect("a status"), item["error_code"].as_str(), item["response"].as_str())
        })
        .collect()
}

#[tokio::test]
async fn items_come_from_where_they_lie_in_input_order() {
    let app = TestApp::start().await;
    let id = job(&app).await;
    let page = app.get(&format!("/v1/jobs/{id}/items")).await.expect(200);
    assert_eq!(
        brief(&page),
        [
            (0, "failed", Some("a"), Some("words")),
            (1, "failed", Some("b"), Some("words")),
            (2, "pending", None, None),
            (3, "failed", Some("a"), None),
            (4, "pending", None, None),
        ]
    );
    let pending = app.get(&format!("/v1/jobs/{id}/items?status=pending")).await.expect(200);
    assert_eq!(brief(&pending).iter().map(|item| item.0).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(
        app.get(&format!("/v1/jobs/{id}/items?status=succeeded")).await.expect(200)["data"],
        serde_json::json!([])
    );
    let job = app.get(&format!("/v1/jobs/{id}")).await.expect(200);
    assert_eq!(
        (job["counts"]["total"].as_u64(), job["counts"]["failed"].as_u64(), job["counts"]["pending"].as_u64()),
        (Some(5), Some(3), Some(2))
    );
    assert_eq!(job["progress"].as_f64().map(|progress| progress.to_string()).as_deref(), Some("0.6"));
}

#[tokio::test]
async fn b16_b18_pages_of_items_hold_every_row_once() {
    let app = TestApp::start().await;
    let id = job(&app).await;
    for (filter, expected) in [("", vec![0, 1, 2, 3, 4]), ("&status=failed", vec![0, 1, 3])] {
        for limit in 1..=3 {
            let mut rows = Vec::new();
            let mut cursor = String::new();
            for _ in 0..10 {
                let page = app.get(&format!("/v1/jobs/{id}/items?limit={limit}{filter}{cursor}")).await.expect(200);
                rows.extend(brief(&page).iter().map(|item| item.0));
                let Some(next) = page["next_cursor"].as_str() else {
                    break;
                };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(rows, expected, "limit {limit}{filter}");
        }
    }
    app.get(&format!("/v1/jobs/{id}/items?cursor=x")).await.expect_problem(400, "invalid_cursor");
}

#[tokio::test]
async fn one_item_comes_with_its_attempts() {
    let app = TestApp::start().await;
    let id = job(&app).await;
    let item = app.get(&format!("/v1/jobs/{id}/items/1")).await.expect(200);
    assert_eq!((&item["error_code"], &item["attempts_log"]), (&"b".into(), &serde_json::json!([])));
    for row in ["5", "x", "-1"] {
        app.get(&format!("/v1/jobs/{id}/items/{row}")).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn an_output_below_the_work_prefix_is_streamed() {
    let app = TestApp::start().await;
    let id = job(&app).await;
    app.get(&format!("/v1/jobs/{id}/output")).await.expect_problem(409, "invalid_state");
    let (tenant_id, job_id): (TenantId, JobId) = (app.tenant_id.parse().expect("an id"), id.parse().expect("an id"));
    let mut tx = app.db.tenant(tenant_id).await.expect("a transaction");
    db::jobs::transition(&mut tx, job_id, Event::Cancel).await.expect("a cancel");
    tx.commit().await.expect("a commit");
    let location = app.work.job(tenant_id, job_id).output(domain::format::Format::Csv);
    let path = location.uri().to_string().replace("file://", "");
    std::fs::write(path, Bytes::from_static(b"a,b\n1,2\n")).expect("a file");
    let stored = seal_rest(&app, tenant_id).await;
    assert_eq!(stored, "cancelled");
    let output = app.get(&format!("/v1/jobs/{id}/output")).await;
    assert_eq!(output.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(output.headers["content-length"], "8");
    assert_eq!(output.expect(200), "a,b\n1,2\n");
}

/// Seals the second chunk and finishes the job. Returns its state.
async fn seal_rest(app: &TestApp, tenant_id: TenantId) -> String {
    let lease = claim(app).await;
    let mut tx = app.db.tenant(tenant_id).await.expect("a transaction");
    let chunk = db::chunks::get(&mut tx, lease.job_id, 1).await.expect("a chunk").expect("a chunk");
    let rows =
        [(Status::Cancelled, Some("cancelled")), (Status::Failed, Some("a")), (Status::Cancelled, Some("cancelled"))];
    let sealed = Sealed {
        chunk_no: 1,
        first_row: 2,
        generation: 0,
        closed: &chunk.closed,
        rows: &rows,
        results_path: "unread",
        attempts_path: None,
        part_path: "unread",
        unfinished: <_>::default(),
    };
    db::seal::finish(&mut tx, &lease, &sealed).await.expect("a sealed chunk");
    tx.commit().await.expect("a commit");
    let lease = claim(app).await;
    let mut tx = app.db.tenant(tenant_id).await.expect("a transaction");
    let output = serde_json::json!({"uri": null, "format": "csv", "bytes": 8, "sha256": "00"});
    let state = db::seal::finish_job(&mut tx, &lease, &output).await.expect("a finished job");
    tx.commit().await.expect("a commit");
    state.to_string()
}
