//! `/metrics`: the same on the API's address and on a worker's.

use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use db::Database;
use pipeline::Metrics;

/// How long a scrape may wait for the database. Prometheus waits 10 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Needs no key, and tells nothing of a tenant, a job or a prompt.
pub fn route(db: Database, metrics: Metrics) -> Router {
    let scrape = move || {
        let (db, metrics) = (db.clone(), metrics.clone());
        async move { answer(&db, &metrics).await }
    };
    Router::new().route("/metrics", get(scrape))
}

async fn answer(db: &Database, metrics: &Metrics) -> Response {
    match tokio::time::timeout(PATIENCE, metrics.scrape(db)).await {
        // https://prometheus.io/docs/instrumenting/exposition_formats/
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a scrape failed");
            away()
        }
        Err(_) => away(),
    }
}

fn away() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the database can't be reached at this moment\n").into_response()
}
