use std::sync::Arc;
use dataset::stores::{Stores, StoresConfig};
use dataset::work::WorkSpace;
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "openapi" { use std::io::Write; std::io::stdout().write_all(api::openapi_json().as_bytes()).unwrap(); return; }
    let db = db::Database::open(&args[1], Default::default()).unwrap();
    db.migrate().await.unwrap();
    let root = std::path::PathBuf::from(&args[2]);
    let stores = Stores::new(StoresConfig { file_root: Some(root.join("data")), s3_options: vec![] }).unwrap();
    let work = WorkSpace::open(&stores, &format!("file://{}/work", args[2]).parse().unwrap()).unwrap();
    let key = domain::api_key::ApiKey::from_random([args[3].parse::<u8>().unwrap(); 32]);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.expose().as_bytes());
    let mut tx = db.scheduler().await.unwrap();
    let _ = db::api_keys::insert_admin(&mut tx, &db::api_keys::NewKey { key_id: domain::ids::KeyId(uuid::Uuid::now_v7()), name: "x".into(), sha256: digest.as_ref().try_into().unwrap(), last_four: key.last_four().into(), scopes: vec![], expires_at: None }).await;
    tx.commit().await.unwrap();
    let app = api::App { db, stores, work, master_key: Arc::new(db::MasterKey::new([1; 32])), clock: Arc::new(chrono::Utc::now), config: api::Config { allow_private: true, ..Default::default() } };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{} {}", listener.local_addr().unwrap(), key.expose());
    axum::serve(listener, api::router(app)).await.unwrap();
}
