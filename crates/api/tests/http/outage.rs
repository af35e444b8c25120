//! The database is away.

use std::sync::Arc;

use api::{App, Config};
use axum::body::Body;
use axum::http::Request;
use chrono::DateTime;
use dataset::stores::{Stores, StoresConfig};
use dataset::work::WorkSpace;
use db::{Database, MasterKey, Options};
use domain::api_key::ApiKey;
use tower::ServiceExt;

#[tokio::test]
async fn b23_without_a_database_calls_are_to_be_repeated_and_the_process_is_alive() {
    let directory = tempfile::tempdir().expect("a directory");
    let stores = Stores::new(StoresConfig::default()).expect("stores");
    let prefix = format!("file://{}", directory.path().display()).parse().expect("a prefix");
    let app = App {
        // Nothing listens on port 1.
        db: Database::open("postgres://nobody@127.0.0.1:1/nothing", Options::default()).expect("a URL"),
        work: WorkSpace::open(&stores, &prefix).expect("a work space"),
        stores,
        master_key: Arc::new(MasterKey::new([1; 32])),
        clock: Arc::new(|| DateTime::UNIX_EPOCH),
        config: Config::default(),
    };
    let router = api::router(app);
    let key = ApiKey::from_random([1; 32]);
    for (path, status) in [("/v1/jobs", 503), ("/readyz", 503), ("/healthz", 200)] {
        let request = Request::get(path).header("authorization", format!("Bearer {}", key.expose()));
        let answer = router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), answer.headers().contains_key("retry-after")),
            (status, status == 503),
            "{path}"
        );
    }
}
