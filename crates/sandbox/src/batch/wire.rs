//! What a family says of itself, so that the engine works for all of them.

use std::borrow::Cow;

use super::fault::Operation;
use super::ids::Token;
use super::record::ProviderBatch;
use super::view::Problem;
use crate::arrival::Identity;
use crate::clock::Moment;
use crate::config::Config;
use crate::reply::Reply;

/// One family's wire format of provider batches.
pub(crate) trait Wire: Send + Sync {
    /// As in the oracle log; files and provider batches of one family are invisible to the others.
    fn family(&self) -> &'static str;

    fn rules(&self) -> &'static Rules;

    fn file_id(&self, token: Token) -> String;

    fn batch_id(&self, token: Token) -> String;

    /// Takes an input line apart. The problem's line is filled in by the caller.
    fn split<'a>(&self, line: &'a [u8], batch: &ProviderBatch) -> Result<Item<'a>, Problem>;

    /// Model and prompt tokens of a request's body; tokens are 0 where the body is invalid.
    fn measure<'a>(&self, body: &'a [u8], batch: &ProviderBatch) -> Measured<'a>;

    /// The answer that the real-time route would give.
    fn answer(&self, at: &At<'_>, body: &[u8]) -> Answer;

    /// Appends the line of a result, without its end.
    fn write(&self, line: &mut Vec<u8>, result: &RowResult<'_>);

    /// What is said of a file that begins with a byte order mark.
    fn byte_order_mark(&self) -> Problem {
        Problem::invalid_json(1, "it begins with a byte order mark")
    }

    /// The bytes that identify a request on both routes.
    fn identity<'b>(&self, body: &'b [u8], _batch: &ProviderBatch) -> Cow<'b, [u8]> {
        Cow::Borrowed(body)
    }

    /// The usual error of a status: of a call, or of a request in a provider batch.
    fn error(&self, operation: Option<Operation>, status: u16) -> Reply;

    /// The event that tells the end of a provider batch, where the family has webhooks: the body.
    fn event(&self, _batch: &ProviderBatch, _event_id: &str, _unix_s: u64) -> Option<Vec<u8>> {
        None
    }
}

/// In what families differ.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Requests in one provider batch.
    pub max_requests: u64,
    /// Bytes of an input file.
    pub max_bytes: u64,
    /// Bytes of a line.
    pub max_line_bytes: u64,
    /// Creations in an hour.
    pub creates_per_hour: Option<u64>,
    /// Provider batches that have not ended.
    pub max_batches: Option<u64>,
    /// Requests of those.
    pub max_queued_requests: Option<u64>,
    /// Whether all requests must name the same model, one that is on offer.
    pub one_model: bool,
    /// Whether failures go to a file of their own.
    pub error_file: Errors,
    /// Whether requests that were not done are told, each in a line.
    pub tells_unfinished: bool,
    /// Whether an expired provider batch has results.
    pub expired_has_results: bool,
    /// Purpose and name of result files.
    pub output_purpose: &'static str,
}

/// Where failures are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errors {
    /// Among the successes.
    Output,
    /// In a file that exists if there are any.
    OwnFile,
    /// In a file that exists, empty or not, once the provider batch has completed.
    OwnFileAlways,
}

/// A request of an input file.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    pub custom_id: Cow<'a, str>,
    pub body: &'a [u8],
}

/// What the validation wants to know of a request.
#[derive(Debug, Default)]
pub(crate) struct Measured<'a> {
    pub model: Option<Cow<'a, str>>,
    pub prompt_tokens: u64,
}

/// Where a request of a provider batch is answered.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub config: &'a Config,
    pub batch: &'a ProviderBatch,
    pub now: Moment,
    /// Makes the ids of the answer.
    pub seq: u64,
    pub identity: &'a Identity<'a>,
    /// Whether this is a second answer, which differs from the first.
    pub again: bool,
}

/// An answer to a request of a provider batch.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
    /// Prompt and completion tokens where they are charged.
    pub billed: Option<(u64, u64)>,
    /// The name of the fault that the request met.
    pub fault: Option<&'static str>,
}

/// What became of one request.
#[derive(Debug)]
pub(crate) struct RowResult<'a> {
    pub number: u64,
    pub custom_id: &'a str,
    pub kind: RowKind<'a>,
}

/// What a result line holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowKind<'a> {
    /// The answer's status and JSON.
    Answered {
        status: u16,
        body: &'a [u8],
    },
    /// Neither an answer nor an error.
    Null,
    Expired,
    Cancelled,
    /// An error of that code, without an answer.
    Error {
        code: &'a str,
    },
}
