//! What each fault makes of a reply.

use std::time::Duration;

use super::{Fault, Retry};
use crate::completion::{Completion, Content, Finish, ReportedUsage};
use crate::family::{Family, Objection, RateLimit, Wait};
use crate::limits::Limit;
use crate::reply::{JSON, Payload, Reply};

const HTML: &str = "<!doctype html>\n<html><body><h1>Please sign in</h1></body></html>\n";

/// The page of a proxy that found nobody behind it.
const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";

/// Right-to-left text, combining marks, joined and flagged emoji, a byte order mark, line separators, control
/// characters, a private-use character and the last code point.
const UNICODE: &str = " مرحبا e\u{301} 👩\u{200d}👩\u{200d}👧 🇩🇪 \u{feff}\u{2028}\u{2029}\u{85}\u{202e}\t\r\n\u{1}\"\\ \u{e000}\u{10ffff}";

/// The reply to a request that meets `fault`, where `completion` would have been the answer.
pub(crate) fn apply<F: Family>(family: &F, fault: &Fault, completion: Completion<'_>) -> Reply {
    let text = completion.content.text();
    let answer = |content| F::answer(&Completion { content, ..completion });
    let usage = |usage| F::answer(&Completion { usage, ..completion });
    let error = |objection| F::error_reply(family.error(&objection), completion.seq);
    match fault {
        Fault::Status { code: 502, error: None, kind: None } => {
            Reply { status: 502, ..ok("text/html", BAD_GATEWAY.as_bytes().to_vec()) }
        }
        Fault::Status { code, error: name, kind } => {
            error(Objection::Status { status: *code, code: name.as_deref(), kind: kind.as_deref() })
        }
        Fault::RateLimit { retry, delay } => rate_limit::<F>(*retry, *delay, &completion),
        Fault::InsufficientQuota => error(Objection::Quota),
        Fault::ContextLength => {
            let prompt_tokens = completion.prompt_tokens;
            error(Objection::ContextLength { prompt_tokens, answer_tokens: 0, context_tokens: 1 })
        }
        Fault::Timeout => Reply::unanswered(Payload::Silence),
        Fault::Slow { delay } => Reply { delay: *delay, ..F::answer(&completion) },
        Fault::Drip { interval } => ok(JSON, Payload::Drip(*interval)),
        Fault::DropBefore => Reply::unanswered(Payload::Close),
        Fault::DropAfter => with_payload::<F>(&completion, |_| Payload::Close),
        Fault::ResetMidBody => with_payload::<F>(&completion, Payload::Half),
        Fault::Html => page(),
        Fault::EmptyBody => ok(JSON, Vec::new()),
        Fault::TruncatedJson => with_payload::<F>(&completion, cut),
        Fault::WrongType => ok(JSON, F::WRONG_TYPE.as_bytes().to_vec()),
        Fault::Endless => ok(JSON, Payload::Endless(F::head(&completion))),
        Fault::Oversized { bytes } => oversized::<F>(completion, *bytes),
        Fault::BadContentType => Reply { content_type: "text/plain", ..F::answer(&completion) },
        Fault::Refusal => answer(Content::Refusal(F::REFUSAL)),
        Fault::ContentFilter { as_error: true } => error(Objection::ContentFilter),
        Fault::ContentFilter { as_error: false } => half::<F>(completion, Finish::ContentFilter),
        Fault::Length => half::<F>(completion, Finish::Length),
        Fault::EmptyContent => answer(Content::Text("")),
        Fault::NullContent => answer(Content::Null),
        Fault::NoChoices => answer(Content::NoChoices),
        Fault::NoUsage => usage(ReportedUsage::Absent),
        Fault::NegativeUsage => usage(ReportedUsage::Negative),
        Fault::HugeUsage => usage(ReportedUsage::Huge),
        Fault::ToolCall => {
            F::answer(&Completion { content: Content::ToolCall, finish: Finish::ToolCall, ..completion })
        }
        Fault::LoneSurrogate => answer(Content::LoneSurrogate(text)),
        Fault::Nul => with_text::<F>(completion, &format!("{text}\0")),
        Fault::NulFinishReason => F::answer(&Completion { finish: Finish::Nul, ..completion }),
        Fault::Unicode => with_text::<F>(completion, &format!("{text}{UNICODE}")),
    }
}

fn rate_limit<F: Family>(retry: Retry, delay: Duration, completion: &Completion<'_>) -> Reply {
    let wait = Wait::Told { retry, delay, unix_ms: completion.unix_ms };
    F::rate_limit(&RateLimit { limit: Limit::Requests, detail: "on demand", wait }, completion.seq)
}

/// A page where an answer should be.
pub(crate) fn page() -> Reply {
    ok("text/html", HTML.as_bytes().to_vec())
}

/// A 200 for which nobody worked.
fn ok(content_type: &'static str, payload: impl Into<Payload>) -> Reply {
    Reply::new(200, content_type, payload)
}

fn with_text<F: Family>(completion: Completion<'_>, text: &str) -> Reply {
    F::answer(&Completion { content: Content::Text(text), ..completion })
}

fn with_payload<F: Family>(completion: &Completion<'_>, payload: fn(Vec<u8>) -> Payload) -> Reply {
    Reply { payload: payload(F::body(completion)), ..F::answer(completion) }
}

fn cut(mut body: Vec<u8>) -> Payload {
    body.truncate(body.len() / 2);
    Payload::Whole(body)
}

fn half<F: Family>(completion: Completion<'_>, finish: Finish) -> Reply {
    let content = Content::Text(first_half(completion.content.text()));
    F::answer(&Completion { content, finish, ..completion })
}

/// The text's first half, on a char boundary.
fn first_half(text: &str) -> &str {
    &text[..text.floor_char_boundary(text.len() / 2)]
}

/// Sent piece by piece, because the size asked for may exceed memory.
fn oversized<F: Family>(completion: Completion<'_>, bytes: u64) -> Reply {
    let completion = Completion { content: Content::Filler(bytes), ..completion };
    let payload = Payload::Padded { head: F::head(&completion), filler: bytes, tail: F::tail(&completion) };
    Reply { payload, ..F::answer(&completion) }
}
