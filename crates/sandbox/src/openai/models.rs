//! `GET /models` and `GET /models/{model}`.

use serde::Serialize;

use super::error::ApiError;
use crate::config::Config;
use crate::reply::Reply;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

impl<'a> Model<'a> {
    fn new(id: &'a str) -> Self {
        Self { id, object: "model", created: 0, owned_by: "sandbox" }
    }
}

/// All models, in the order of their names.
pub(super) fn list(config: &Config) -> Reply {
    let data = config.models.keys().map(|name| Model::new(name)).collect();
    Reply::json(&List { object: "list", data })
}

/// One model, or a 404.
pub(super) fn retrieve(config: &Config, name: &str) -> Result<Reply, ApiError> {
    if config.models.contains_key(name) {
        Ok(Reply::json(&Model::new(name)))
    } else {
        Err(ApiError::unknown_model(name))
    }
}
