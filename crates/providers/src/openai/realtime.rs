//! `POST /chat/completions`.

use std::time::SystemTime;

use bytes::Bytes;
use domain::job::spec::Params;
use domain::prompt::Message;
use futures::future::BoxFuture;
use reqwest::Url;
use reqwest::header::HeaderMap;

use super::{Dialect, completion, encode};
use crate::client::{Api, HttpError, HttpReply, retry_after};
use crate::driver::{Driver, Reply};

/// Chat completions of one model.
pub(crate) struct Chat {
    api: Api,
    /// `None` if the record's base URL can't be one.
    url: Option<Url>,
    headers: HeaderMap,
    model: String,
    dialect: Dialect,
}

impl Chat {
    pub fn new(api: Api, model: String, dialect: Dialect) -> Self {
        Self { url: api.url(&["chat", "completions"]).ok(), headers: api.json_headers(), api, model, dialect }
    }

    async fn send(&self, prepared: &Bytes, messages: &[Message]) -> Result<HttpReply, HttpError> {
        let url = self.url.as_ref().ok_or(HttpError::NoUrl)?;
        let body = encode::body(prepared, self.dialect.prefill, messages);
        self.api.http.post(url, self.headers.clone(), body, self.api.timeout).await
    }
}

impl Driver for Chat {
    fn prepare(&self, params: &Params) -> Bytes {
        (self.dialect.prepare)(&self.model, params).into()
    }

    fn chat<'a>(&'a self, prepared: &'a Bytes, messages: &'a [Message]) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            match self.send(prepared, messages).await {
                Ok(reply) => read(&reply, self.dialect, SystemTime::now()),
                Err(error) => Reply::without_answer((&error).into()),
            }
        })
    }
}

fn read(reply: &HttpReply, dialect: Dialect, now: SystemTime) -> Reply {
    let mut read = completion::read(reply.status.as_u16(), &reply.body, dialect.classify);
    read.request_id = reply.headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    if let Err(failure) = &mut read.result {
        failure.retry_after = retry_after(&reply.headers, now);
    }
    read
}
