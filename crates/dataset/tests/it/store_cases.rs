//! Stores: roots, credentials, work files.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::time::Duration;

use dataset::input;
use dataset::stores::{StoreCredential, Stores, StoresConfig};
use dataset::work::{WorkFile, WorkSpace, Writer};
use domain::format::Format;
use domain::ids::{JobId, TenantId};

use crate::places::Place;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn d4_files_are_refused_where_no_root_is_configured() {
    let stores = Stores::new(StoresConfig::default()).expect("stores");
    let error = stores.open(&"file:///etc/passwd".parse().expect("a URI"), None).expect_err("a refusal");
    assert_eq!(error.code(), "scheme_not_supported");
}

#[tokio::test]
async fn d5_nothing_outside_of_the_root_is_reached() {
    let place = Place::file();
    let outside = tempfile::tempdir().expect("a directory");
    std::fs::write(outside.path().join("secret.csv"), "a\n1\n").expect("written");
    symlink(outside.path().join("secret.csv"), place.on_disk("link.csv")).expect("a link");
    symlink(outside.path(), place.on_disk("directory")).expect("a link");
    symlink(outside.path().join("absent"), place.on_disk("dangling.csv")).expect("a link");
    place.put("own.csv", "a\n1\n".into());
    symlink(place.on_disk("own.csv"), place.on_disk("inside.csv")).expect("a link");

    let uri = |path: &str| place.uri(path).parse().expect("a URI");
    for path in ["link.csv", "directory/secret.csv", "directory/new/out.csv", "dangling.csv", "dangling.csv/x"] {
        let error = place.stores.open(&uri(path), None).expect_err(path);
        assert_eq!(error.code(), "storage_location_not_allowed", "{path}");
    }
    let elsewhere = format!("file://{}/secret.csv", outside.path().display()).parse().expect("a URI");
    assert_eq!(place.stores.open(&elsewhere, None).expect_err("outside").code(), "storage_location_not_allowed");
    for path in ["own.csv#1", "directory2/x#23"] {
        assert_eq!(place.stores.open(&uri(path), None).expect_err(path).code(), "invalid_object_path");
    }
    for path in ["inside.csv", "own.csv", "new/directory/out.csv"] {
        place.stores.open(&uri(path), None).expect(path);
    }
}

#[tokio::test]
async fn d6_missing_and_forbidden_inputs_say_so() {
    for place in [Place::file(), Place::s3().await] {
        let location = place.at("nothing.csv");
        assert_eq!(input::pin(&location).await.expect_err("missing").code(), "input_not_found");
        assert!(!location.exists().await.expect("a look"));
    }
    let place = Place::file();
    std::fs::create_dir(place.on_disk("directory")).expect("made");
    assert_eq!(input::pin(&place.at("directory")).await.expect_err("no file").code(), "input_not_found");
    let place = Place::s3().await;
    let wrong = BTreeMap::from(
        [("access_key_id", "key"), ("secret_access_key", "wrong")].map(|(name, value)| (name.into(), value.into())),
    );
    let wrong = StoreCredential::new(wrong).expect("a credential");
    let location = place.stores.open(&place.uri("x.csv").parse().expect("a URI"), Some(&wrong)).expect("a place");
    assert_eq!(input::pin(&location).await.expect_err("denied").code(), "input_access_denied");
}

#[test]
fn a_credential_shows_its_names_alone_and_must_be_complete() {
    let options = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "hunter2".to_owned())).collect();
    let credential =
        StoreCredential::new(options(&["access_key_id", "secret_access_key", "region"])).expect("a credential");
    assert!(!format!("{credential:?}").contains("hunter2"));
    for names in [
        &["access_key_id"][..],
        &["access_key_id", "secret_access_key", "bucket"],
        &["access_key_id", "secret_access_key", "nonsense"],
    ] {
        assert_eq!(StoreCredential::new(options(names)).expect_err("a refusal").code(), "invalid_storage_credential");
    }
}

#[tokio::test]
async fn downloads_are_signed_where_the_store_can() {
    let place = Place::file();
    let location = place.with("x.csv", "a\n1\n".into());
    assert!(location.sign_get(MINUTE).await.expect("an answer").is_none());
    let (bytes, _) = location.stream().await.expect("a stream");
    assert_eq!(bytes, 4);

    let place = Place::s3().await;
    let url = place.at("x.csv").sign_get(MINUTE).await.expect("an answer").expect("a URL");
    assert!(url.query().expect("a signature").contains("X-Amz-Expires=60"));
}

#[tokio::test]
async fn work_files_are_replaced_by_their_own_writer_only() {
    let file = Place::file();
    let s3 = Place::s3().await;
    for (place, prefix) in [(&file, file.uri("work/deep")), (&s3, s3.uri("work"))] {
        let space = WorkSpace::open(&place.stores, &prefix.parse().expect("a prefix")).expect("a work space");
        let job = space.job(TenantId(uuid(1)), JobId(uuid(2)));
        let first = WorkFile::ChunkResults { chunk: 3, generation: 0, writer: Writer::Step { epoch: 1 } };
        let second = WorkFile::ChunkResults { chunk: 3, generation: 0, writer: Writer::Step { epoch: 2 } };
        job.put(first, "stale".into()).await.expect("written");
        job.put(second, "good".into()).await.expect("written");
        job.put(second, "better".into()).await.expect("written");
        assert_eq!(job.get(first).await.expect("bytes"), "stale");
        assert_eq!(job.get(second).await.expect("bytes"), "better");
        let directory = format!(
            "work{}/{}/{}",
            if prefix.ends_with("deep") { "/deep" } else { "" },
            TenantId(uuid(1)),
            JobId(uuid(2))
        );
        assert!(place.on_disk(&format!("{directory}/chunks/3/results-g0-e2.parquet")).exists());
        job.delete(first).await.expect("deleted");
        job.delete(first).await.expect("deleting twice is no error");
        assert_eq!(job.get(first).await.expect_err("gone").code(), "object_not_found");
    }
}

#[test]
fn work_files_have_the_names_of_the_layout() {
    let part = WorkFile::Part { generation: 1, chunk: 2, writer: Writer::Step { epoch: 3 }, format: Format::Csv };
    assert_eq!(part.to_string(), "parts/1/2-e3.csv");
    assert_eq!(WorkFile::ChunkInput { chunk: 0, epoch: 7 }.to_string(), "chunks/0/input-e7.parquet");
}

fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}
