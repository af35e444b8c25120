//! The first look at a template, before it is parsed: what would make the parser or the compiler recurse too deep, and
//! statements that don't exist here.

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::error::{Position, TemplateError};
use super::limits::{NESTED_BLOCKS, NESTED_BRACKETS, TAG_SYMBOLS};

/// Statements of Jinja that prompt templates don't have.
const UNAVAILABLE: [&str; 13] = [
    "autoescape",
    "block",
    "call",
    "do",
    "extends",
    "filter",
    "from",
    "import",
    "include",
    "macro",
    "set",
    "trans",
    "with",
];

/// Those of them that can build text or work out of nothing.
const UNBOUNDED: [&str; 4] = ["call", "filter", "macro", "set"];

pub(super) fn check(source: &str, syntax: &SyntaxConfig) -> Result<(), TemplateError> {
    let mut nesting = Nesting::default();
    let mut tag = Tag::default();
    let mut opens_block = false;
    for token in tokenize(source, false, syntax.clone()) {
        let (token, span) = token.map_err(|error| syntax_error(source, &error))?;
        if let (true, Token::Ident(keyword)) = (opens_block, &token) {
            check_keyword(source, keyword, span)?;
            nesting.follow(keyword)?;
        }
        opens_block = matches!(token, Token::BlockStart);
        tag.follow(&token)?;
    }
    Ok(())
}

/// A parser's or compiler's error as ours.
pub(super) fn syntax_error(source: &str, error: &minijinja::Error) -> TemplateError {
    let offset = error.range().map_or(source.len(), |range| range.start);
    TemplateError::Syntax {
        at: Position::of(source, offset),
        message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
    }
}

fn check_keyword(source: &str, keyword: &str, span: Span) -> Result<(), TemplateError> {
    if !UNAVAILABLE.contains(&keyword) {
        return Ok(());
    }
    let at = Position::of(source, span.start_offset as usize);
    let feature = format!("`{{% {keyword} %}}`");
    Err(if UNBOUNDED.contains(&keyword) {
        TemplateError::UnboundedFeature { at, feature, advice: "write the expression where it is needed".to_owned() }
    } else {
        TemplateError::FeatureNotAllowed { at, feature, advice: String::new() }
    })
}

/// What one `{{ }}` or `{% %}` has had so far.
#[derive(Default)]
struct Tag {
    symbols: usize,
    open_brackets: usize,
}

impl Tag {
    fn follow(&mut self, token: &Token<'_>) -> Result<(), TemplateError> {
        match token {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => *self = Self::default(),
            Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) | Token::Comma => {}
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                self.symbols += 1;
                self.open_brackets += 1;
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                self.symbols += 1;
                self.open_brackets = self.open_brackets.saturating_sub(1);
            }
            _ => self.symbols += 1,
        }
        if self.symbols > TAG_SYMBOLS {
            return Err(TemplateError::TooLarge {
                what: "names, operators and brackets in one tag",
                limit: TAG_SYMBOLS,
            });
        }
        if self.open_brackets > NESTED_BRACKETS {
            return Err(TemplateError::TooLarge { what: "brackets inside each other", limit: NESTED_BRACKETS });
        }
        Ok(())
    }
}

/// How deep the blocks are. An `elif` is one level more, because it is parsed as an `if` inside the `else`.
#[derive(Default)]
struct Nesting {
    depth: usize,
    /// The depth outside of each open block.
    outside: Vec<usize>,
}

impl Nesting {
    fn follow(&mut self, keyword: &str) -> Result<(), TemplateError> {
        match keyword {
            "if" | "for" => {
                self.outside.push(self.depth);
                self.depth += 1;
            }
            "elif" => self.depth += 1,
            "endif" | "endfor" => self.depth = self.outside.pop().unwrap_or(0),
            _ => {}
        }
        if self.depth > NESTED_BLOCKS {
            return Err(TemplateError::TooLarge { what: "blocks inside each other", limit: NESTED_BLOCKS });
        }
        Ok(())
    }
}
