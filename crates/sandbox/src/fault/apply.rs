//! What each fault makes of a reply.

use std::time::Duration;

use super::{Fault, Retry, status};
use crate::openai::{ApiError, Completion, Content, Limit, ReportedUsage};
use crate::reply::{Payload, Reply};

const JSON: &str = "application/json";
const REFUSAL: &str = "I'm sorry, but I can't help with that.";
const HTML: &str = "<!doctype html>\n<html><body><h1>Please sign in</h1></body></html>\n";
const WRONG_TYPE: &str = r#"{"choices":{"message":"none"},"usage":[],"id":7}"#;
const YEAR_S: u64 = 365 * 24 * 60 * 60;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// Right-to-left text, combining marks, joined and flagged emoji, a byte order mark, line separators, control
/// characters, a private-use character and the last code point.
const UNICODE: &str = " مرحبا e\u{301} 👩\u{200d}👩\u{200d}👧 🇩🇪 \u{feff}\u{2028}\u{2029}\u{85}\u{202e}\t\r\n\u{1}\"\\ \u{e000}\u{10ffff}";

/// The reply to a request that meets `fault`, where `completion` would have been the answer.
pub(crate) fn apply(fault: &Fault, completion: Completion<'_>, unix_ms: u64) -> Reply {
    let text = completion.content.text();
    let answer = |content| Reply::answer(&Completion { content, ..completion });
    let usage = |usage| Reply::answer(&Completion { usage, ..completion });
    match fault {
        Fault::Status { code, error, kind } => status::reply(*code, error.as_deref(), kind.as_deref()),
        Fault::RateLimit { retry, delay } => rate_limit(*retry, *delay, unix_ms),
        Fault::InsufficientQuota => ApiError::insufficient_quota().into(),
        Fault::ContextLength => ApiError::context_length(completion.prompt_tokens, 0, 1).into(),
        Fault::Timeout => Reply::unanswered(Payload::Silence),
        Fault::Slow { delay } => Reply { delay: *delay, ..Reply::answer(&completion) },
        Fault::Drip { interval } => ok(JSON, Payload::Drip(*interval)),
        Fault::DropBefore => Reply::unanswered(Payload::Close),
        Fault::DropAfter => with_payload(&completion, |_| Payload::Close),
        Fault::ResetMidBody => with_payload(&completion, Payload::Half),
        Fault::Html => page(),
        Fault::EmptyBody => ok(JSON, Vec::new()),
        Fault::TruncatedJson => with_payload(&completion, cut),
        Fault::WrongType => ok(JSON, WRONG_TYPE.as_bytes().to_vec()),
        Fault::Endless => ok(JSON, Payload::Endless(completion.head())),
        Fault::Oversized { bytes } => oversized(completion, *bytes),
        Fault::BadContentType => Reply { content_type: "text/plain", ..Reply::answer(&completion) },
        Fault::Refusal => answer(Content::Refusal(REFUSAL)),
        Fault::ContentFilter { as_error: true } => ApiError::content_filter().into(),
        Fault::ContentFilter { as_error: false } => half(completion, "content_filter"),
        Fault::Length => half(completion, "length"),
        Fault::EmptyContent => answer(Content::Text("")),
        Fault::NullContent => answer(Content::Null),
        Fault::NoChoices => answer(Content::NoChoices),
        Fault::NoUsage => usage(ReportedUsage::Absent),
        Fault::NegativeUsage => usage(ReportedUsage::Negative),
        Fault::HugeUsage => usage(ReportedUsage::Huge),
        Fault::ToolCall => {
            Reply::answer(&Completion { finish_reason: "tool_calls", content: Content::ToolCall, ..completion })
        }
        Fault::LoneSurrogate => answer(Content::LoneSurrogate(text)),
        Fault::Nul => with_text(completion, &format!("{text}\0")),
        Fault::NulFinishReason => Reply::answer(&Completion { finish_reason: "stop\0", ..completion }),
        Fault::Unicode => with_text(completion, &format!("{text}{UNICODE}")),
    }
}

/// A page where an answer should be.
pub(crate) fn page() -> Reply {
    ok("text/html", HTML.as_bytes().to_vec())
}

/// A 200 for which nobody worked.
fn ok(content_type: &'static str, payload: impl Into<Payload>) -> Reply {
    Reply::new(200, content_type, payload)
}

fn with_text(completion: Completion<'_>, text: &str) -> Reply {
    Reply::answer(&Completion { content: Content::Text(text), ..completion })
}

fn with_payload(completion: &Completion<'_>, payload: fn(Vec<u8>) -> Payload) -> Reply {
    Reply { payload: payload(completion.body()), ..Reply::answer(completion) }
}

fn cut(mut body: Vec<u8>) -> Payload {
    body.truncate(body.len() / 2);
    Payload::Whole(body)
}

fn half(completion: Completion<'_>, finish_reason: &'static str) -> Reply {
    Reply::answer(&Completion {
        finish_reason,
        content: Content::Text(first_half(completion.content.text())),
        ..completion
    })
}

/// The text's first half, on a char boundary.
fn first_half(text: &str) -> &str {
    &text[..text.floor_char_boundary(text.len() / 2)]
}

/// Sent piece by piece, because the size asked for may exceed memory.
fn oversized(completion: Completion<'_>, bytes: u64) -> Reply {
    let completion = Completion { content: Content::Filler(bytes), ..completion };
    Reply {
        payload: Payload::Padded { head: completion.head(), filler: bytes, tail: completion.tail() },
        ..Reply::answer(&completion)
    }
}

fn rate_limit(retry: Retry, delay: Duration, unix_ms: u64) -> Reply {
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let (name, value) = match retry {
        Retry::None => return ApiError::rate_limit(Limit::Requests, "on demand").into(),
        Retry::Seconds => ("retry-after", delay_ms.div_ceil(1000).to_string()),
        Retry::Ms => ("retry-after-ms", delay_ms.to_string()),
        Retry::Date => ("retry-after", http_date(unix_ms.saturating_add(delay_ms))),
        Retry::Garbage => ("retry-after", "soon".to_owned()),
        Retry::Huge => ("retry-after", YEAR_S.to_string()),
        Retry::Past => ("retry-after", http_date(unix_ms.saturating_sub(HOUR_MS))),
    };
    Reply::from(ApiError::rate_limit(Limit::Requests, "on demand")).with_header(name, &value)
}

/// RFC 9110 section 5.6.7, rounded up to a whole second so that a wait until then is long enough.
fn http_date(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms.div_ceil(1000)).unwrap_or(i64::MAX);
    chrono::DateTime::from_timestamp(seconds, 0)
        .unwrap_or(chrono::DateTime::<chrono::Utc>::MAX_UTC)
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_date_has_the_form_of_the_standard() {
        assert_eq!(http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(784_111_776_001), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
