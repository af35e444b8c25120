//! An answer before it has a shape, and the writing of JSON straight into one buffer.

use std::fmt::Arguments;
use std::io::Write;

use crate::answer::count_tokens;

/// Room for everything but the content.
pub(crate) const ENVELOPE_BYTES: usize = 640;

/// What a model has to say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion<'a> {
    /// Of the request; makes the completion's id.
    pub seq: u64,
    pub unix_ms: u64,
    pub model: &'a str,
    pub content: Content<'a>,
    pub finish: Finish,
    /// Cached ones included.
    pub prompt_tokens: u64,
    /// Of the prompt's tokens, those said to come from a cache.
    pub cached_tokens: u64,
    /// Thought before the content was written.
    pub thinking_tokens: u64,
    pub usage: ReportedUsage,
}

/// What the answer consists of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    Text(&'a str),
    /// The model refused, and wrote this.
    Refusal(&'a str),
    Null,
    ToolCall,
    NoChoices,
    /// The text, then half of a surrogate pair.
    LoneSurrogate(&'a str),
    /// So many bytes that somebody else writes between head and tail.
    Filler(u64),
}

/// How the answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    ContentFilter,
    ToolCall,
    /// As `Stop`, followed by U+0000.
    Nul,
}

/// What the usage says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReportedUsage {
    True,
    Absent,
    Negative,
    Huge,
}

impl<'a> Content<'a> {
    /// The text, where it is one.
    pub fn text(&self) -> &'a str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    fn tokens(&self) -> u64 {
        match self {
            Self::Text(text) | Self::Refusal(text) | Self::LoneSurrogate(text) => count_tokens(text),
            Self::Filler(bytes) => bytes.div_ceil(4),
            Self::ToolCall => 1,
            Self::Null | Self::NoChoices => 0,
        }
    }
}

impl Completion<'_> {
    /// What the answer costs in completion tokens, thoughts included.
    pub fn completion_tokens(&self) -> u64 {
        self.content_tokens().saturating_add(self.thinking_tokens)
    }

    /// Those of what can be read.
    pub fn content_tokens(&self) -> u64 {
        self.content.tokens()
    }

    /// A buffer for the whole body.
    pub fn buffer(&self) -> Vec<u8> {
        let text = self.content.text();
        Vec::with_capacity(ENVELOPE_BYTES + text.len() + text.len() / 16)
    }
}

/// Appends formatted text.
pub(crate) fn put(out: &mut Vec<u8>, text: Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every write");
}

/// Appends a JSON string.
pub(crate) fn put_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a Vec takes every write and a string always serialises");
}

/// Appends a JSON string that ends in half of a surrogate pair, which no library writes.
pub(crate) fn put_lone_surrogate(out: &mut Vec<u8>, text: &str) {
    put_string(out, text);
    out.pop();
    out.extend(br#"\ud800""#);
}
