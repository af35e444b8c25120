//! What counts of a valid request, whoever's words it came in.

use std::borrow::Cow;
use std::ops::Range;

use crate::answer::count_tokens;

/// A valid request, borrowed from its JSON.
#[derive(Debug, Default)]
pub(crate) struct Asked<'a> {
    pub model: &'a str,
    /// Of all messages and the system prompt, in their order.
    pub texts: Vec<&'a str>,
    /// Those of the last user message; empty where there is none.
    pub prompt: Range<usize>,
    /// The limit on the answer.
    pub max_tokens: Option<u64>,
}

impl<'a> Asked<'a> {
    /// Makes the texts from `start` on the prompt.
    pub fn prompt_from(&mut self, start: usize) {
        self.prompt = start..self.texts.len();
    }

    /// The text of the last user message.
    pub fn prompt(&self) -> Cow<'a, str> {
        match &self.texts[self.prompt.clone()] {
            [] => "".into(),
            [text] => (*text).into(),
            texts => texts.concat().into(),
        }
    }

    /// Counted text by text.
    pub fn prompt_tokens(&self) -> u64 {
        self.texts.iter().map(|text| count_tokens(text)).sum()
    }
}
