//! Calls of the contract whose work is not done yet.

use axum::Router;
use axum::routing::{delete, get, post};

use crate::App;
use crate::auth::{Read, Tenant};
use crate::problem::Problem;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/jobs/estimate", post(later))
        .route("/v1/jobs/{id}", delete(later).patch(later))
        .route("/v1/jobs/{id}/events", get(later))
        .route("/v1/jobs/{id}/retry", post(later))
        .route("/v1/files", post(later))
        .route("/v1/files/{id}/content", get(later))
        .route("/v1/usage", get(later))
        .route("/v1/audit", get(later))
        .route("/v1/webhook_endpoints", get(later).post(later))
        .route("/v1/webhook_endpoints/{*rest}", get(later).post(later).patch(later).delete(later))
        .route("/docs", get(without_key))
        .route("/", get(without_key))
}

async fn later(_: Tenant<Read>) -> Problem {
    Problem::not_yet_supported("this call")
}

/// What is for operators and browsers tells nothing of a tenant.
async fn without_key() -> Problem {
    Problem::not_yet_supported("this call")
}
