//! Health and metrics of a worker process, which has no API of its own.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use db::Database;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long the database may take to answer before the worker calls itself not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves `/healthz` (the process runs), `/readyz` (the database answers) and `metrics` until `stop` is cancelled.
pub async fn serve(
    db: Database,
    metrics: Router,
    listener: TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let ready = move || {
        let db = db.clone();
        async move {
            match tokio::time::timeout(PATIENCE, db.ping()).await {
                Ok(Ok(())) => (StatusCode::OK, "ok\n"),
                Ok(Err(_)) | Err(_) => {
                    (StatusCode::SERVICE_UNAVAILABLE, "the database can't be reached at this moment\n")
                }
            }
        }
    };
    let router = metrics.route("/healthz", get(async || "ok\n")).route("/readyz", get(ready));
    Ok(axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?)
}
