//! `POST /models/{model}:generateContent`.

use std::time::SystemTime;

use bytes::Bytes;
use domain::job::spec::Params;
use domain::prompt::Message;
use futures::future::BoxFuture;

use super::response::Response;
use super::{Gemini, encode, error};
use crate::client::{HttpError, HttpReply};
use crate::driver::{Driver, Reply};

impl Gemini {
    async fn send(&self, prepared: &Bytes, messages: &[Message]) -> Result<HttpReply, HttpError> {
        let url = self.url.as_ref().ok_or(HttpError::NoUrl)?;
        self.api.http.post(url, self.headers.clone(), encode::body(prepared, messages), self.api.timeout).await
    }
}

impl Driver for Gemini {
    fn prepare(&self, params: &Params) -> Bytes {
        encode::prepare(params)
    }

    fn chat<'a>(&'a self, prepared: &'a Bytes, messages: &'a [Message]) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            match self.send(prepared, messages).await {
                Ok(reply) => read(&reply, SystemTime::now()),
                Err(error) => Reply::without_answer((&error).into()),
            }
        })
    }
}

fn read(reply: &HttpReply, now: SystemTime) -> Reply {
    let http_status = Some(reply.status.as_u16());
    if !reply.status.is_success() {
        return Reply { http_status, ..Reply::without_answer(error::status(reply, now)) };
    }
    match serde_json::from_slice::<Response>(&reply.body) {
        Ok(response) => Reply { http_status, ..response.into_reply() },
        Err(wrong) => Reply { http_status, ..Reply::invalid(format!("not a GenerateContentResponse: {wrong}")) },
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;
    use domain::failure::Class;

    fn read_body(status: u16, body: &str) -> Reply {
        let status = StatusCode::from_u16(status).expect("a status");
        let body = Bytes::copy_from_slice(body.as_bytes());
        read(&HttpReply { status, headers: HeaderMap::new(), body }, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn every_reply_keeps_its_status() {
        for (status, body) in [(200, r#"{"candidates":[{}]}"#), (200, "<html>"), (503, "")] {
            assert_eq!(read_body(status, body).http_status, Some(status), "{body}");
        }
    }

    #[test]
    fn what_is_no_response_may_be_tried_again() {
        for body in [
            "",
            "<html>",
            "[]",
            r#"{"candidates":{}}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"\ud800"}]}}]}"#,
            r#"{"candidates":["#,
        ] {
            let failure = read_body(200, body).result.expect_err(body);
            let (class, code) = (failure.class, failure.error.code);
            assert_eq!((class, code.as_str()), (Class::Transient, "invalid_provider_response"), "{body}");
        }
    }
}
