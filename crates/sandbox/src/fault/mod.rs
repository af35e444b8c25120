//! Faults on demand: what can go wrong, how it is asked for, whom it meets, what it does.

mod apply;
mod configured;
mod marker;
mod parse;
mod retry;

use std::fmt;
use std::time::Duration;

pub(crate) use apply::{apply, page};
pub use configured::ConfiguredFault;
pub(crate) use configured::split_mix;
pub(crate) use marker::from_texts;
pub use parse::InvalidFault;
pub(crate) use parse::Words;
pub use retry::Retry;
pub(crate) use retry::json_duration;

/// Something that goes wrong with one request. Written as in a marker: `status code=500`. The table of the
/// crate's documentation says what each does on the wire.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// An error status with a true-to-life body.
    Status {
        /// 400 to 599.
        code: u16,
        /// Replaces `error.code`.
        error: Option<String>,
        /// Replaces `error.type`.
        kind: Option<String>,
    },
    /// 429 `rate_limit_exceeded`, whatever the limits.
    RateLimit {
        /// How the delay is told.
        retry: Retry,
        /// The delay told.
        delay: Duration,
    },
    /// 429 `insufficient_quota`.
    InsufficientQuota,
    /// 400 `context_length_exceeded`.
    ContextLength,
    /// Takes the request and never answers; closes after 10 minutes.
    Timeout,
    /// The right answer, later.
    Slow {
        /// Added to the latency.
        delay: Duration,
    },
    /// A space each interval, for up to 10 minutes, and never an answer.
    Drip {
        /// Between two bytes.
        interval: Duration,
    },
    /// Closes the connection instead of working.
    DropBefore,
    /// Works, bills, and closes the connection without a byte.
    DropAfter,
    /// Half of the body that Content-Length promised, then closes.
    ResetMidBody,
    /// 200 with a page of HTML.
    Html,
    /// 200 with no body.
    EmptyBody,
    /// 200 with the first half of the JSON, complete as HTTP.
    TruncatedJson,
    /// 200 with JSON of another shape.
    WrongType,
    /// 200 with a body that goes on for up to 10 minutes.
    Endless,
    /// The right shape, with an answer of that size.
    Oversized {
        /// Of the answer's text.
        bytes: u64,
    },
    /// The right answer, said to be `text/plain`.
    BadContentType,
    /// `message.refusal` instead of `message.content`.
    Refusal,
    /// Half of the answer with `finish_reason` `content_filter`, or a 400.
    ContentFilter {
        /// A 400 of code `content_filter` instead.
        as_error: bool,
    },
    /// Half of the answer with `finish_reason` `length`.
    Length,
    /// `message.content` is the empty string.
    EmptyContent,
    /// `message.content` is null.
    NullContent,
    /// `choices` is an empty list.
    NoChoices,
    /// There is no `usage`.
    NoUsage,
    /// The counts in `usage` are negative.
    NegativeUsage,
    /// The counts in `usage` are 2^63 − 1.
    HugeUsage,
    /// A tool call instead of an answer.
    ToolCall,
    /// The escape `\ud800` without its other half stands in the content.
    LoneSurrogate,
    /// U+0000 stands in the content.
    Nul,
    /// U+0000 stands in `finish_reason`.
    NulFinishReason,
    /// The answer is followed by text that naive code breaks.
    Unicode,
}

impl Fault {
    /// Whether it breaks the connection or what it carries, rather than what is answered.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        matches!(
            self,
            Self::Timeout
                | Self::Slow { .. }
                | Self::Drip { .. }
                | Self::DropBefore
                | Self::DropAfter
                | Self::ResetMidBody
                | Self::Html
                | Self::EmptyBody
                | Self::TruncatedJson
                | Self::Endless
        )
    }

    /// The name, as in a marker and in the oracle log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::RateLimit { .. } => "rate_limit",
            Self::InsufficientQuota => "insufficient_quota",
            Self::ContextLength => "context_length",
            Self::Timeout => "timeout",
            Self::Slow { .. } => "slow",
            Self::Drip { .. } => "drip",
            Self::DropBefore => "drop_before",
            Self::DropAfter => "drop_after",
            Self::ResetMidBody => "reset_mid_body",
            Self::Html => "html",
            Self::EmptyBody => "empty_body",
            Self::TruncatedJson => "truncated_json",
            Self::WrongType => "wrong_type",
            Self::Endless => "endless",
            Self::Oversized { .. } => "oversized",
            Self::BadContentType => "bad_content_type",
            Self::Refusal => "refusal",
            Self::ContentFilter { .. } => "content_filter",
            Self::Length => "length",
            Self::EmptyContent => "empty_content",
            Self::NullContent => "null_content",
            Self::NoChoices => "no_choices",
            Self::NoUsage => "no_usage",
            Self::NegativeUsage => "negative_usage",
            Self::HugeUsage => "huge_usage",
            Self::ToolCall => "tool_call",
            Self::LoneSurrogate => "lone_surrogate",
            Self::Nul => "nul",
            Self::NulFinishReason => "nul_finish_reason",
            Self::Unicode => "unicode",
        }
    }
}

/// As in a marker, so that it can be parsed again.
impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())?;
        match self {
            Self::Status { code, error, kind } => {
                write!(formatter, " code={code}")?;
                if let Some(error) = error {
                    write!(formatter, " error={error}")?;
                }
                if let Some(kind) = kind {
                    write!(formatter, " type={kind}")?;
                }
                Ok(())
            }
            Self::RateLimit { retry, delay } => {
                write!(formatter, " retry={} delay={}", retry.name(), delay.as_secs_f64())
            }
            Self::Slow { delay: duration } | Self::Drip { interval: duration } => {
                write!(formatter, " ms={}", duration.as_millis())
            }
            Self::Oversized { bytes } => write!(formatter, " bytes={bytes}"),
            Self::ContentFilter { as_error: true } => formatter.write_str(" as=400"),
            _ => Ok(()),
        }
    }
}
