//! Why a template can't be used, and why a row can't be rendered.

use std::fmt;

/// A place in a template's source, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub(super) fn of(source: &str, offset: usize) -> Self {
        let before = &source[..source.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Found when a template is compiled, before any row is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("{at}: {message}")]
    Syntax { at: Position, message: String },

    #[error("{at}: the input has no column `{name}`{}", did_you_mean(suggestion.as_deref()))]
    UnknownVariable { at: Position, name: String, suggestion: Option<String> },

    #[error("{at}: {feature} can't be used in prompt templates{}", advice_text(advice))]
    FeatureNotAllowed { at: Position, feature: String, advice: String },

    /// Could make text or work grow without bound, whatever the row.
    #[error(
        "{at}: {feature} can't be used in prompt templates, because it can grow without bound{}",
        advice_text(advice)
    )]
    UnboundedFeature { at: Position, feature: String, advice: String },

    #[error("the template has more than {limit} {what}")]
    TooLarge { what: &'static str, limit: usize },
}

impl TemplateError {
    /// The public error code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "template_syntax",
            Self::UnknownVariable { .. } => "template_unknown_variable",
            Self::FeatureNotAllowed { .. } => "template_feature_not_allowed",
            Self::UnboundedFeature { .. } | Self::TooLarge { .. } => "template_limit",
        }
    }
}

fn advice_text(advice: &str) -> String {
    if advice.is_empty() { String::new() } else { format!("; {advice}") }
}

fn did_you_mean(column: Option<&str>) -> String {
    match column {
        None => String::new(),
        Some(column) if is_identifier(column) => format!("; did you mean `{column}`?"),
        Some(column) => format!("; did you mean `row[{column:?}]`?"),
    }
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// Found when one row is rendered. No call is made for that row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error("the template takes more {what} for this row than one rendering may")]
    Limit { what: &'static str },

    #[error("the rendered prompt is larger than {max_bytes} bytes")]
    TooLarge { max_bytes: usize },

    #[error("the rendered prompt is empty")]
    Empty,

    /// An operator or filter met a value that it can't work on.
    #[error("line {line}: {message}")]
    Failed { line: usize, message: String },
}

impl RenderError {
    /// The public error code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Limit { .. } => "template_limit",
            Self::TooLarge { .. } => "prompt_too_large",
            Self::Empty => "prompt_empty",
            Self::Failed { .. } => "template_error",
        }
    }
}
