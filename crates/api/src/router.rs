//! Which path leads to which handler.

use axum::routing::get;
use axum::{Router, middleware};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{App, admin, edge, health, jobs, later, models, openapi, provider_webhooks};

/// The whole API.
pub fn router(app: App) -> Router {
    let (bounded, _) = bounded().split_for_parts();
    let (unbounded, _) = unbounded().split_for_parts();
    let bounded = bounded
        // A model's name may hold slashes, which a documented path can't say.
        .route(
            "/v1/admin/providers/{id}/models/{*model}",
            get(admin::models::get).put(admin::models::put).delete(admin::models::delete),
        )
        .route("/openapi.json", get(openapi::document))
        .merge(later::routes())
        .layer(middleware::from_fn_with_state(app.clone(), edge::bounded));
    bounded
        .merge(unbounded)
        .fallback(edge::no_such_path)
        .method_not_allowed_fallback(edge::no_such_method)
        .layer(middleware::from_fn(edge::edge))
        .with_state(app)
}

/// Documented calls that answer within [`crate::Config::request_timeout`].
pub(crate) fn bounded() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(jobs::submit, jobs::list))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::pause))
        .routes(routes!(jobs::resume))
        .routes(routes!(jobs::items))
        .routes(routes!(jobs::item))
        .routes(routes!(jobs::output))
        .routes(routes!(models::models))
        .routes(routes!(admin::tenants::create, admin::tenants::list))
        .routes(routes!(admin::tenants::get, admin::tenants::change))
        .routes(routes!(admin::keys::create, admin::keys::list))
        .routes(routes!(admin::keys::revoke))
        .routes(routes!(admin::grants::create, admin::grants::list))
        .routes(routes!(admin::grants::delete))
        .routes(routes!(admin::credentials::put))
        .routes(routes!(admin::providers::list))
        .routes(routes!(admin::providers::put, admin::providers::get, admin::providers::delete))
        .routes(routes!(admin::models::list))
        .routes(routes!(provider_webhooks::receive))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
}

/// Documented calls that may wait for a job.
pub(crate) fn unbounded() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(jobs::get))
}
