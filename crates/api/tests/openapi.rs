//! The committed document is the one that the code makes.

use std::path::Path;

#[test]
fn the_committed_document_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/gristmill.json");
    let committed = std::fs::read_to_string(path).expect("openapi/gristmill.json");
    assert!(
        committed == api::openapi_json(),
        "openapi/gristmill.json is stale: `gristmill openapi > openapi/gristmill.json`"
    );
}
