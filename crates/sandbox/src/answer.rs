//! What the sandbox answers, as pure functions of the request: tests compute the same.

use std::borrow::Cow;

/// Repeated to pad an answer.
const FILLER: &str = "gristmill grinds the grain ";

/// An answer and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// Whether the limit on answer tokens cut it (`finish_reason` `length`).
    pub truncated: bool,
}

/// The answer of every model to a prompt, which is the text of the last user message: the prompt itself,
/// padded to `answer_bytes` where it is shorter, cut to `max_tokens` where it is longer.
pub fn echo(prompt: &str, answer_bytes: Option<usize>, max_tokens: Option<u64>) -> Answer<'_> {
    let text = pad(prompt, answer_bytes.unwrap_or(0));
    let Some(max_tokens) = max_tokens.filter(|&max| count_tokens(&text) > max) else {
        return Answer { text, truncated: false };
    };
    let max_bytes = usize::try_from(max_tokens.saturating_mul(4)).unwrap_or(usize::MAX);
    let end = text.floor_char_boundary(max_bytes);
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    };
    Answer { text, truncated: true }
}

/// The sandbox's tokens: one for every four bytes begun.
pub fn count_tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4)
}

fn pad(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() >= bytes {
        return Cow::Borrowed(text);
    }
    let mut padded = String::with_capacity(bytes);
    padded.push_str(text);
    while padded.len() < bytes {
        let missing = bytes - padded.len();
        padded.push_str(&FILLER[..missing.min(FILLER.len())]);
    }
    Cow::Owned(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_the_prompt() {
        let answer = echo("grüße [[sandbox:slow]]", None, None);
        assert_eq!(answer.text, "grüße [[sandbox:slow]]");
        assert!(!answer.truncated);
    }

    #[test]
    fn short_answer_is_padded_to_exactly_the_bytes_asked_for() {
        assert_eq!(echo("é", Some(1000), None).text.len(), 1000);
        assert_eq!(echo("é", Some(1000), None), echo("é", Some(1000), None));
        assert_eq!(echo("longer than that", Some(3), None).text, "longer than that");
    }

    #[test]
    fn long_answer_is_cut_on_a_char_boundary() {
        let answer = echo("abcé", None, Some(1));
        assert_eq!((answer.text.as_ref(), answer.truncated), ("abc", true));
        assert!(!echo("abcd", None, Some(1)).truncated);
        assert_eq!(echo("", Some(100), Some(2)).text.len(), 8);
    }

    #[test]
    fn tokens_are_bytes_by_four_rounded_up() {
        let counts = ["", "a", "abcd", "abcde", "éé€"].map(count_tokens);
        assert_eq!(counts, [0, 1, 1, 2, 2]);
    }
}
