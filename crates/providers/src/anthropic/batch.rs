//! `/v1/messages/batches`.

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use domain::failure::{Class, Failure};
use domain::job::spec::Params;
use domain::prompt::Message;
use domain::provider_batch::ResultFiles;
use futures::future::{BoxFuture, FutureExt as _};
use reqwest::Method;

use super::message_batch::{MessageBatch, Page};
use super::{Anthropic, encode, error, line};
use crate::call_error::{Target, body_of, or_missing, parse};
use crate::client::{Download, FileBody, HttpError, HttpReply};
use crate::list::{MAX_PAGES, add, goes_back_before, too_long};
use crate::{BatchDriver, CallError, EncodedFile, Found, Habits, Input, NewBatch, Polled, Reply, Transport, Wanted};

const BATCHES: [&str; 3] = ["v1", "messages", "batches"];

impl Anthropic {
    fn done(target: Target, reply: Result<HttpReply, HttpError>) -> Result<Bytes, CallError> {
        body_of(target, reply, |reply| error::status(reply, SystemTime::now()))
    }

    async fn create_one(&self, batch: &NewBatch<'_>) -> Result<String, CallError> {
        let Input::Inline(file) = batch.input else { return Err(no_files()) };
        let body = FileBody { before: r#"{"requests":["#.into(), file, after: "]}".into() };
        let url = self.api.url(&BATCHES)?;
        let reply = self.api.http.upload(Method::POST, &url, self.api.json_headers(), body, self.api.timeout).await;
        let created: MessageBatch = parse(&Self::done(Target::Collection, reply)?)?;
        if created.id.is_empty() {
            return Err(CallError::unreadable("the provider batch has no id"));
        }
        Ok(created.id)
    }

    async fn search(&self, wanted: &Wanted<'_>) -> Result<Vec<Found>, CallError> {
        let mut found = Vec::<MessageBatch>::new();
        let mut after = None::<String>;
        for _ in 0..MAX_PAGES {
            let query = [("limit", "1000")].into_iter().chain(after.as_deref().map(|id| ("after_id", id)));
            let reply = self.api.get(&BATCHES, &query.collect::<Vec<_>>()).await;
            let page: Page = parse(&Self::done(Target::Collection, reply)?)?;
            let last = page.data.last().map(|batch| batch.id.clone());
            let is_enough = goes_back_before(wanted, page.data.iter().map(MessageBatch::created));
            found.extend(page.data.into_iter().filter(|batch| batch.may_be(wanted)));
            if is_enough || last.is_none() || last == after || page.has_more == Some(false) {
                return Ok(newest_first(found));
            }
            after = last;
        }
        Err(too_long())
    }

    async fn look(&self, id: &str) -> Result<Polled, CallError> {
        let batch: MessageBatch = parse(&Self::done(Target::Object, self.api.get(&path(id, &[]), &[]).await)?)?;
        let status = batch.status();
        let output = batch.results_url().map(|url| self.results(id, url)).transpose()?;
        Ok(Polled {
            status,
            files: ResultFiles { output, errors: None },
            errors: Vec::new(),
            done: batch.total().filter(|_| status.is_terminal()),
        })
    }

    /// Where a relay names the provider's own address, results are read through the relay: the key goes nowhere else.
    fn results(&self, id: &str, url: &str) -> Result<String, HttpError> {
        match self.api.own_url(url) {
            Ok(own) => Ok(own.into()),
            Err(_) => Ok(self.api.url(&path(id, &["results"]))?.into()),
        }
    }

    async fn cancel_one(&self, id: &str) -> Result<(), CallError> {
        let reply = self.api.post(&path(id, &["cancel"]), Vec::new()).await;
        let refuses = reply.as_ref().is_ok_and(|reply| matches!(reply.status.as_u16(), 400 | 409));
        match Self::done(Target::Object, reply) {
            // So it is refused where it has ended already.
            Err(error) if refuses && error.failure.class != Class::KeyLevel => Ok(()),
            other => other.map(drop),
        }
    }

    async fn collect(&self, file: &str, into: &mut Download) -> Result<(), CallError> {
        let url = self.api.own_url(file)?;
        let reply = self.api.http.download(&url, self.api.headers.clone(), into, self.api.timeout).await;
        Self::done(Target::Object, reply).map(drop)
    }

    async fn delete_one(&self, id: &str) -> Result<(), CallError> {
        or_missing(Self::done(Target::Object, self.api.delete(&path(id, &[])).await).map(drop))
    }
}

fn path<'a>(id: &'a str, below: &[&'a str]) -> Vec<&'a str> {
    BATCHES.into_iter().chain([id]).chain(below.iter().copied()).collect()
}

fn newest_first(mut batches: Vec<MessageBatch>) -> Vec<Found> {
    batches.sort_by_key(|batch| std::cmp::Reverse(batch.created()));
    let mut found = Vec::new();
    add(&mut found, batches.into_iter().map(|batch| Found { id: batch.id, certain: false }));
    found
}

fn no_files() -> CallError {
    CallError::new(Failure::new(Class::Permanent, "no_files", "this provider takes no files of requests"))
}

impl BatchDriver for Anthropic {
    fn habits(&self) -> Habits {
        Habits { transport: Transport::Inline, separator: b",", checks_late: true, is_tagged: false, least_poll_s: 1 }
    }

    fn prepare(&self, params: &Params) -> Bytes {
        encode::prepare(&self.fixed, params)
    }

    fn encode(&self, prepared: &Bytes, id: &str, messages: &[Message], out: &mut Vec<u8>) {
        encode::append_element(prepared, id, messages, out);
    }

    fn upload<'a>(&'a self, _file: &'a EncodedFile<'a>) -> BoxFuture<'a, Result<String, CallError>> {
        std::future::ready(Err(no_files())).boxed()
    }

    fn is_ready<'a>(&'a self, _file: &'a str) -> BoxFuture<'a, Result<bool, CallError>> {
        std::future::ready(Err(no_files())).boxed()
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

    /// Results go with the provider batch.
    fn delete_file<'a>(&'a self, _file: &'a str) -> BoxFuture<'a, Result<(), CallError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), CallError>> {
        self.delete_one(id).boxed()
    }

    fn find_files<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<Vec<String>, CallError>> {
        std::future::ready(Ok(Vec::new())).boxed()
    }
}
