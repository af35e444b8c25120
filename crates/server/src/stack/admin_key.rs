//! Makes administrators' keys, which only somebody with the database can.

use aws_lc_rs::digest;
use db::Database;
use db::api_keys::NewKey;
use domain::api_key::ApiKey;
use domain::ids::KeyId;
use uuid::Uuid;

/// A new administrator's key. It is shown nowhere else.
pub async fn make(db: &Database) -> anyhow::Result<ApiKey> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random)?;
    let key = ApiKey::from_random(random);
    let mut tx = db.scheduler().await?;
    let new = NewKey {
        key_id: KeyId(Uuid::now_v7()),
        name: "bootstrap".to_owned(),
        sha256: sha256(&key),
        last_four: key.last_four().to_owned(),
        scopes: vec!["admin".to_owned()],
        expires_at: None,
    };
    db::api_keys::insert_admin(&mut tx, &new).await?;
    tx.commit().await?;
    Ok(key)
}

/// Whether the database knows the key.
pub async fn is_known(db: &Database, key: &str) -> anyhow::Result<bool> {
    let Ok(key) = ApiKey::parse(key) else { return Ok(false) };
    let mut tx = db.scheduler().await?;
    let bearer = db::api_keys::find(&mut tx, sha256(&key)).await?;
    tx.commit().await?;
    Ok(bearer.is_some_and(|bearer| bearer.revoked_at.is_none()))
}

fn sha256(key: &ApiKey) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, key.expose().as_bytes()).as_ref());
    hash
}
