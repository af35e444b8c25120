//! Batch APIs that are fed with files: OpenAI's, and those that are made after it.

mod job;
mod line;
mod list;
mod openai_jobs;
mod rest;

use std::borrow::Cow;
use std::future::ready;

use bytes::Bytes;
use domain::failure::{Class, Failure};
use domain::job::spec::Params;
use domain::prompt::Message;
use futures::future::{BoxFuture, FutureExt as _};

pub(crate) use self::job::{TAG, Time, files, has_tag, status};
pub(crate) use self::list::Named;
pub(crate) use self::openai_jobs::{Expiry, OPENAI, OpenAiJobs, Variant};
pub(crate) use self::rest::Rest;
use super::{Dialect, encode};
use crate::client::Download;
use crate::{BatchDriver, CallError, EncodedFile, Found, Habits, Input, NewBatch, Polled, Reply, Transport, Wanted};

/// A family's jobs. What they share is in [`FileBatches`].
pub(crate) trait Jobs: Send + Sync + 'static {
    fn rest(&self) -> &Rest;

    fn dialect(&self) -> Dialect;

    /// Least seconds between two polls.
    fn least_poll_s(&self) -> u32 {
        1
    }

    /// What goes between the id and the messages of a line.
    fn prepare(&self, params: &Params) -> Bytes;

    fn upload(&self, file: &EncodedFile<'_>) -> impl Future<Output = Result<String, CallError>> + Send;

    fn is_ready(&self, _file: &str) -> impl Future<Output = Result<bool, CallError>> + Send {
        ready(Ok(true))
    }

    /// Creates a provider batch that reads `file`.
    fn create(&self, file: &str, batch: &NewBatch<'_>) -> impl Future<Output = Result<String, CallError>> + Send;

    fn find(&self, wanted: &Wanted<'_>) -> impl Future<Output = Result<Vec<Found>, CallError>> + Send;

    fn poll(&self, id: &str) -> impl Future<Output = Result<Polled, CallError>> + Send;

    fn cancel(&self, id: &str) -> impl Future<Output = Result<(), CallError>> + Send;

    fn find_files(&self, name: &str) -> impl Future<Output = Result<Vec<String>, CallError>> + Send;
}

/// The batch driver of a family with such jobs.
pub(crate) struct FileBatches<J>(pub J);

impl<J: Jobs> BatchDriver for FileBatches<J> {
    fn habits(&self) -> Habits {
        Habits {
            transport: Transport::File,
            separator: b"\n",
            checks_late: false,
            is_tagged: true,
            least_poll_s: self.0.least_poll_s(),
        }
    }

    fn prepare(&self, params: &Params) -> Bytes {
        self.0.prepare(params)
    }

    fn encode(&self, prepared: &Bytes, id: &str, messages: &[Message], out: &mut Vec<u8>) {
        encode::line(prepared, id, self.0.dialect().prefill, messages, out);
    }

    fn upload<'a>(&'a self, file: &'a EncodedFile<'a>) -> BoxFuture<'a, Result<String, CallError>> {
        self.0.upload(file).boxed()
    }

    fn is_ready<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<bool, CallError>> {
        self.0.is_ready(file).boxed()
    }

    fn create<'a>(&'a self, batch: &'a NewBatch<'a>) -> BoxFuture<'a, Result<String, CallError>> {
        let Input::File(file) = batch.input else {
            let failure = Failure::new(Class::Permanent, "file_needed", "this provider takes requests in a file only");
            return ready(Err(CallError::new(failure))).boxed();
        };
        self.0.create(file, batch).boxed()
    }

    fn find<'a>(&'a self, wanted: &'a Wanted<'a>) -> BoxFuture<'a, Result<Vec<Found>, CallError>> {
        self.0.find(wanted).boxed()
    }

    fn poll<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Polled, CallError>> {
        self.0.poll(id).boxed()
    }

    fn cancel<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), CallError>> {
        self.0.cancel(id).boxed()
    }

    fn download<'a>(&'a self, file: &'a str, into: &'a mut Download) -> BoxFuture<'a, Result<(), CallError>> {
        self.0.rest().download(file, into).boxed()
    }

    fn result_id<'a>(&self, line: &'a [u8]) -> Option<Cow<'a, str>> {
        line::id(line)
    }

    fn read(&self, line: &[u8]) -> Reply {
        line::read(line, self.0.dialect().classify)
    }

    fn delete_file<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<(), CallError>> {
        self.0.rest().delete_file(file).boxed()
    }

    /// Results are in files.
    fn delete<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<(), CallError>> {
        ready(Ok(())).boxed()
    }

    fn find_files<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, CallError>> {
        self.0.find_files(name).boxed()
    }
}
