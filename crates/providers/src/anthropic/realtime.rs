//! `POST /v1/messages`.

use std::time::SystemTime;

use bytes::Bytes;
use domain::job::spec::Params;
use domain::prompt;
use futures::future::BoxFuture;

use super::message::Message;
use super::{Anthropic, encode, error};
use crate::client::{HttpError, HttpReply};
use crate::driver::{Driver, Reply};

impl Anthropic {
    async fn send(&self, prepared: &Bytes, messages: &[prompt::Message]) -> Result<HttpReply, HttpError> {
        let url = self.url.as_ref().ok_or(HttpError::NoUrl)?;
        self.api.http.post(url, self.headers.clone(), encode::body(prepared, messages), self.api.timeout).await
    }
}

impl Driver for Anthropic {
    fn prepare(&self, params: &Params) -> Bytes {
        encode::prepare(&self.fixed, params)
    }

    fn chat<'a>(&'a self, prepared: &'a Bytes, messages: &'a [prompt::Message]) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            match self.send(prepared, messages).await {
                Ok(reply) => read(&reply, SystemTime::now()),
                Err(error) => Reply::without_answer((&error).into()),
            }
        })
    }
}

fn read(reply: &HttpReply, now: SystemTime) -> Reply {
    let request_id = reply.headers.get("request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let http_status = Some(reply.status.as_u16());
    if !reply.status.is_success() {
        let failure = error::status(reply, now);
        return Reply { http_status, request_id, ..Reply::without_answer(failure) };
    }
    match serde_json::from_slice::<Message>(&reply.body) {
        Ok(message) => Reply { http_status, request_id, ..message.into_reply() },
        Err(wrong) => Reply { http_status, request_id, ..Reply::invalid(format!("not a message: {wrong}")) },
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;
    use domain::failure::Class;

    fn read_body(status: StatusCode, body: &str) -> Reply {
        let headers =
            HeaderMap::from_iter([("request-id".parse().expect("a name"), HeaderValue::from_static("req_1"))]);
        read(&HttpReply { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn every_reply_keeps_its_status_and_its_id() {
        let message = r#"{"content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"}"#;
        for (status, body) in [(200, message), (200, "<html>"), (529, "")] {
            let reply = read_body(StatusCode::from_u16(status).expect("a status"), body);
            assert_eq!((reply.http_status, reply.request_id.as_deref()), (Some(status), Some("req_1")), "{body}");
        }
    }

    #[test]
    fn what_is_no_message_may_be_tried_again() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"content":"x"}"#,
            r#"{"content":[{"type":"text","text":"\ud800"}]}"#,
            r#"{"content":["#,
        ] {
            let failure = read_body(StatusCode::OK, body).result.expect_err(body);
            let (class, code) = (failure.class, failure.error.code);
            assert_eq!((class, code.as_str()), (Class::Transient, "invalid_provider_response"), "{body}");
        }
    }
}
