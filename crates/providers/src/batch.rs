//! What every provider family can do with many requests at once.

use std::borrow::Cow;
use std::path::Path;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::job::spec::Params;
use domain::prompt::Message;
use domain::provider_batch::{RemoteStatus, ResultFiles, ValidationError};
use futures::future::BoxFuture;

use crate::client::Download;
use crate::{CallError, Reply};

/// A provider family's batch API.
///
/// A driver sends each call once: it never retries, waits or polls. Whoever calls it has recorded what it is about to do, and may
/// be doing it for the second time after a crash.
pub trait BatchDriver: Send + Sync {
    /// How this family wants to be used.
    fn habits(&self) -> Habits;

    /// The part of an encoded request that is the same for every row of a job.
    fn prepare(&self, params: &Params) -> Bytes;

    /// Appends one request, without separator. `id` is what its result will be known by: up to 64 letters, digits, `_` and `-`.
    fn encode(&self, prepared: &Bytes, id: &str, messages: &[Message], out: &mut Vec<u8>);

    /// Uploads a file of encoded requests under a name that is unique, and returns the provider's id of it. Not for [`Transport::Inline`].
    fn upload<'a>(&'a self, file: &'a EncodedFile<'a>) -> BoxFuture<'a, Result<String, CallError>>;

    /// Whether an uploaded file can be used by now.
    fn is_ready<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<bool, CallError>>;

    /// Creates the provider batch, once. On an error that is [`CallError::ambiguous`] it may exist.
    fn create<'a>(&'a self, batch: &'a NewBatch<'a>) -> BoxFuture<'a, Result<String, CallError>>;

    /// Looks for what a create with an unknown end may have made, newest first. An empty answer proves nothing before the provider's list has settled.
    fn find<'a>(&'a self, wanted: &'a Wanted<'a>) -> BoxFuture<'a, Result<Vec<Found>, CallError>>;

    /// How it stands.
    fn poll<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Polled, CallError>>;

    /// Asks it to stop. What is done by then can be read once it has ended. One that has ended already is no error.
    fn cancel<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), CallError>>;

    /// Appends what is still missing of a result file (as [`Polled::files`] names it) to `into`, one result a line. Called again
    /// after an error, it goes on where `into` ends.
    fn download<'a>(&'a self, file: &'a str, into: &'a mut Download) -> BoxFuture<'a, Result<(), CallError>>;

    /// The id that a line of a result file is for. `None`: the line is no result.
    fn result_id<'a>(&self, line: &'a [u8]) -> Option<Cow<'a, str>>;

    /// A line of a result file as the reply of its request.
    fn read(&self, line: &[u8]) -> Reply;

    /// Removes an uploaded or a result file. One that is gone is no error.
    fn delete_file<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<(), CallError>>;

    /// Removes an ended provider batch with its results, where the provider keeps them with it. Elsewhere it does nothing.
    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), CallError>>;

    /// Uploaded files of this name: an upload whose reply was lost may have made one.
    fn find_files<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, CallError>>;
}

/// What differs between families, for whoever drives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    pub transport: Transport,
    /// Between two requests in a file or a body.
    pub separator: &'static [u8],
    /// Requests are checked at the end only, so one should be tried in real time before many are sent.
    pub checks_late: bool,
    /// A provider batch carries a tag (metadata, display name, its own input file), so that a search finds it for certain.
    pub is_tagged: bool,
    /// Least seconds between two polls.
    pub least_poll_s: u32,
}

/// How requests get to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In a file that is uploaded before.
    File,
    /// In the body of the create call.
    Inline,
    /// In the body up to so many encoded bytes, else in a file.
    InlineUpTo(u64),
}

/// Encoded requests on this machine's disk.
#[derive(Debug, Clone, Copy)]
pub struct EncodedFile<'a> {
    pub path: &'a Path,
    pub bytes: u64,
    /// Ends in `.jsonl`.
    pub name: &'a str,
}

/// A provider batch to create.
#[derive(Debug, Clone, Copy)]
pub struct NewBatch<'a> {
    pub input: Input<'a>,
    /// Unique; letters, digits, `_` and `-`, at most 63.
    pub tag: &'a str,
    pub window_s: u32,
}

#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// An uploaded file's id.
    File(&'a str),
    /// Sent with the call.
    Inline(EncodedFile<'a>),
}

/// What is searched for after a create whose reply was lost.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub tag: &'a str,
    /// The uploaded file that it would read.
    pub file: Option<&'a str>,
    /// Not created before then, by this side's clock.
    pub since: DateTime<Utc>,
    /// Requests in it.
    pub requests: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub id: String,
    /// False where only time and size speak for it.
    pub certain: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polled {
    pub status: RemoteStatus,
    /// Present on an ended one, as far as there are any.
    pub files: ResultFiles,
    /// Why it failed as a whole.
    pub errors: Vec<ValidationError>,
    /// Requests that have their result, where the provider tells.
    pub done: Option<u64>,
}
