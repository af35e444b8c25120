//! `batchGenerateContent`, and the operations that it makes.

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use domain::failure::{Class, Failure};
use domain::job::spec::Params;
use domain::prompt::Message;
use futures::future::{BoxFuture, FutureExt as _};
use reqwest::{StatusCode, Url};
use serde_json::json;

use super::inline;
use super::operation::Operation;
use super::split::Splitter;
use super::{Gemini, encode, error, line, resource};
use crate::call_error::{Target, body_of, or_missing, parse};
use crate::client::{Download, HttpError, HttpReply, Opened};
use crate::{BatchDriver, CallError, EncodedFile, Found, Habits, Input, NewBatch, Polled, Reply, Transport, Wanted};

/// Bytes of requests that still travel in the create call, whose limit is 20 MB with all that is around them.
const MAX_INLINE_BYTES: u64 = 16_000_000;

impl Gemini {
    /// A reply's body. A file that is gone is hidden behind a 403.
    pub(super) fn done(target: Target, reply: Result<HttpReply, HttpError>) -> Result<Bytes, CallError> {
        let done = body_of(target, reply, |reply| error::status(reply, SystemTime::now()));
        done.map_err(|error| {
            if error.failure.error.message.contains("it may not exist") {
                CallError::missing(error.failure.error.message)
            } else {
                error
            }
        })
    }

    async fn create_one(&self, batch: &NewBatch<'_>) -> Result<String, CallError> {
        let json = match batch.input {
            Input::File(file) => {
                let body = json!({"batch": {"displayName": batch.tag, "inputConfig": {"fileName": file}}});
                body.to_string().into_bytes()
            }
            Input::Inline(file) => inline::body(batch.tag, &file).await.map_err(HttpError::from)?,
        };
        let reply = self.api.post(&resource(&format!("{}:batchGenerateContent", self.model)), json).await;
        let limited = reply.as_ref().is_ok_and(|reply| reply.status == StatusCode::TOO_MANY_REQUESTS);
        let created =
            Self::done(Target::Collection, reply).map_err(|error| if limited { patient(error) } else { error })?;
        let operation: Operation = parse(&created)?;
        operation.name.filter(|name| !name.is_empty()).ok_or_else(|| CallError::unreadable("the operation has no name"))
    }

    async fn search(&self, wanted: &Wanted<'_>) -> Result<Vec<Found>, CallError> {
        let is_ours = |operation: &Operation| operation.display_name() == Some(wanted.tag);
        let mut found = self.list("batches", is_ours).await?;
        found.sort_by_key(|operation| std::cmp::Reverse(operation.created()));
        let named = found.into_iter().filter_map(|operation| operation.name);
        Ok(named.map(|id| Found { id, certain: true }).collect())
    }

    async fn look(&self, id: &str) -> Result<Polled, CallError> {
        let url = self.api.url(&resource(id))?;
        let operation: Operation = parse(&self.frame(Target::Object, &url, None).await?)?;
        Ok(operation.polled(id))
    }

    /// A reply without the results in it. They are appended to `into`, one a line.
    pub(super) async fn frame(
        &self,
        target: Target,
        url: &Url,
        mut into: Option<&mut Download>,
    ) -> Result<Vec<u8>, CallError> {
        let mut incoming = match self.api.http.open(url, self.api.headers.clone(), self.api.timeout).await? {
            Opened::Incoming(incoming) => incoming,
            Opened::Refused(reply) => return Self::done(target, Ok(reply)).map(Into::into),
        };
        let limit = self.api.http.max_reply_bytes();
        let mut splitter = Splitter::new(limit);
        let mut lines = Vec::new();
        while let Some(piece) = incoming.piece().await? {
            let too_large = |_| HttpError::TooLarge { limit: limit as u64, status: StatusCode::OK };
            splitter.push(&piece, &mut lines).map_err(too_large)?;
            let lines = std::mem::take(&mut lines);
            if let Some(into) = &mut into
                && !lines.is_empty()
            {
                into.append(lines.into()).await?;
            }
        }
        Ok(splitter.into_frame())
    }

    async fn cancel_one(&self, id: &str) -> Result<(), CallError> {
        let reply = self.api.post(&resource(&format!("{id}:cancel")), b"{}".to_vec()).await;
        let refuses = reply.as_ref().is_ok_and(|reply| matches!(reply.status.as_u16(), 400 | 409));
        match Self::done(Target::Object, reply) {
            // So it is refused where it has ended already; but a bad key is a 400, too.
            Err(error) if refuses && error.failure.error.code != "provider_auth_failed" => Ok(()),
            other => other.map(drop),
        }
    }

    async fn collect(&self, file: &str, into: &mut Download) -> Result<(), CallError> {
        if !is_operation(file) {
            return self.download_file(file, into).await;
        }
        // The next copy may be written in another order.
        into.restart().await.map_err(HttpError::from)?;
        let frame = self.frame(Target::Object, &self.api.url(&resource(file))?, Some(into)).await?;
        parse::<Operation>(&frame).map(drop)
    }

    async fn delete_one(&self, id: &str) -> Result<(), CallError> {
        or_missing(Self::done(Target::Object, self.api.delete(&resource(id)).await).map(drop))
    }
}

/// Creates are refused far below the published limits, for hours (<https://github.com/googleapis/python-genai/issues/1901>): that
/// is no reason to stop calls in real time.
fn patient(error: CallError) -> CallError {
    let failure = Failure::new(Class::Wait, "rate_limited", error.failure.error.message);
    CallError { failure: Failure { retry_after: error.failure.retry_after, ..failure }, ..error }
}

/// Results of requests that were sent inline stand in the operation.
fn is_operation(file: &str) -> bool {
    file.starts_with("batches/")
}

impl BatchDriver for Gemini {
    fn habits(&self) -> Habits {
        Habits {
            transport: Transport::InlineUpTo(MAX_INLINE_BYTES),
            separator: b"\n",
            checks_late: true,
            is_tagged: true,
            least_poll_s: 1,
        }
    }

    fn prepare(&self, params: &Params) -> Bytes {
        encode::prepare(params)
    }

    fn encode(&self, prepared: &Bytes, id: &str, messages: &[Message], out: &mut Vec<u8>) {
        encode::append_line(prepared, id, messages, out);
    }

    fn upload<'a>(&'a self, file: &'a EncodedFile<'a>) -> BoxFuture<'a, Result<String, CallError>> {
        self.upload_file(file).boxed()
    }

    fn is_ready<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<bool, CallError>> {
        self.file_is_ready(file).boxed()
    }

    fn create<'a>(&'a self, batch: &'a NewBatch<'a>) -> BoxFuture<'a, Result<String, CallError>> {
        self.create_one(batch).boxed()
    }

    fn find<'a>(&'a self, wanted: &'a Wanted<'a>) -> BoxFuture<'a, Result<Vec<Found>, CallError>> {
        self.search(wanted).boxed()
    }

    fn poll<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Polled, CallError>> {
        self.look(id).boxed()
    }

    fn cancel<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), CallError>> {
        self.cancel_one(id).boxed()
    }

    fn download<'a>(&'a self, file: &'a str, into: &'a mut Download) -> BoxFuture<'a, Result<(), CallError>> {
        self.collect(file, into).boxed()
    }

    fn result_id<'a>(&self, line: &'a [u8]) -> Option<Cow<'a, str>> {
        line::id(line)
    }

    fn read(&self, line: &[u8]) -> Reply {
        line::read(line)
    }

    fn delete_file<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<(), CallError>> {
        // Inline results go with their operation.
        if is_operation(file) { std::future::ready(Ok(())).boxed() } else { self.delete_one(file).boxed() }
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), CallError>> {
        self.delete_one(id).boxed()
    }

    fn find_files<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, CallError>> {
        self.files_named(name).boxed()
    }
}
