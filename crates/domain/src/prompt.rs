//! A job's prompt: what the caller wrote, compiled against the input's columns, rendered for each row.

mod spec;

use std::sync::Arc;

pub use self::spec::{Content, MessageSpec, Part, PromptSpec, Role};

use crate::row::Row;
use crate::template::{Columns, RenderError, Template, TemplateError};

/// One message of a row's request. Its text is data: drivers put it into the request as a JSON string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub role: Role,
    pub text: String,
}

/// One problem of a [`PromptSpec`], with the JSON pointer of the field that has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {problem}")]
pub struct PromptError {
    pub pointer: String,
    pub problem: PromptProblem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptProblem {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("give `prompt` or `messages`")]
    Missing,
    #[error("give `prompt` or `messages`, not both")]
    Both,
    #[error("`system` stands beside `prompt`; among `messages`, write a message with the role `system`")]
    SystemBesideMessages,
    #[error("there is no message with the role `user`")]
    NoUserMessage,
    #[error("the text is empty")]
    Empty,
    #[error("images can't be sent yet")]
    Image,
}

impl PromptProblem {
    /// The public error code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Template(error) => error.code(),
            Self::Missing | Self::Both | Self::SystemBesideMessages | Self::NoUserMessage => "validation_failed",
            Self::Empty => "prompt_empty",
            Self::Image => "not_yet_supported",
        }
    }
}

/// A compiled prompt. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prompt {
    messages: Arc<[(Role, Vec<Template>)]>,
    columns: Arc<[usize]>,
}

impl Prompt {
    /// Checks and compiles a prompt.
    ///
    /// # Errors
    /// All problems at once, in the order of the fields.
    pub fn compile(spec: &PromptSpec, columns: &Columns) -> Result<Self, Vec<PromptError>> {
        let mut compiler = Compiler { columns, messages: Vec::new(), errors: Vec::new() };
        compiler.spec(spec);
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        let mut used: Vec<usize> =
            compiler.messages.iter().flat_map(|(_, parts)| parts).flat_map(Template::columns).copied().collect();
        used.sort_unstable();
        used.dedup();
        Ok(Self { messages: compiler.messages.into(), columns: used.into() })
    }

    /// The columns that the prompt reads, ascending.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The messages of one row: those of the spec, in order, without system messages that came out blank. Their texts are at
    /// most `max_bytes` together.
    ///
    /// # Errors
    /// [`RenderError::Empty`] where every user message came out blank, and all that [`Template::render`] can fail with.
    pub fn render(&self, row: &Arc<dyn Row>, max_bytes: usize) -> Result<Vec<Message>, RenderError> {
        let mut room = max_bytes;
        let mut messages = Vec::with_capacity(self.messages.len());
        for (role, parts) in self.messages.iter() {
            let mut text = String::new();
            for part in parts {
                part.render(row, room - text.len(), &mut text).map_err(|error| match error {
                    RenderError::TooLarge { .. } => RenderError::TooLarge { max_bytes },
                    other => other,
                })?;
            }
            room -= text.len();
            if *role != Role::System || !is_blank(&text) {
                messages.push(Message { role: *role, text });
            }
        }
        if messages.iter().any(|message| message.role == Role::User && !is_blank(&message.text)) {
            Ok(messages)
        } else {
            Err(RenderError::Empty)
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

struct Compiler<'columns> {
    columns: &'columns Columns,
    messages: Vec<(Role, Vec<Template>)>,
    errors: Vec<PromptError>,
}

impl Compiler<'_> {
    fn spec(&mut self, spec: &PromptSpec) {
        match (&spec.prompt, &spec.messages) {
            (None, None) => self.report("/prompt", PromptProblem::Missing),
            (Some(_), Some(_)) => self.report("/messages", PromptProblem::Both),
            (None, Some(_)) if spec.system.is_some() => self.report("/system", PromptProblem::SystemBesideMessages),
            (None, Some(messages)) if !messages.iter().any(|message| message.role == Role::User) => {
                self.report("/messages", PromptProblem::NoUserMessage);
            }
            _ => {}
        }
        if let Some(system) = &spec.system {
            self.message(Role::System, "/system", &Content::Text(system.clone()));
        }
        if let Some(prompt) = &spec.prompt {
            self.message(Role::User, "/prompt", &Content::Text(prompt.clone()));
        }
        for (position, message) in spec.messages.iter().flatten().enumerate() {
            self.message(message.role, &format!("/messages/{position}/content"), &message.content);
        }
    }

    fn message(&mut self, role: Role, pointer: &str, content: &Content) {
        let mut templates = Vec::new();
        match content {
            Content::Text(text) => {
                if role == Role::User && is_blank(text) {
                    self.report(pointer, PromptProblem::Empty);
                }
                templates.extend(self.template(pointer, text));
            }
            Content::Parts(parts) => {
                if role == Role::User && parts.is_empty() {
                    self.report(pointer, PromptProblem::Empty);
                }
                for (position, part) in parts.iter().enumerate() {
                    match part {
                        Part::Text { text } => {
                            templates.extend(self.template(&format!("{pointer}/{position}/text"), text));
                        }
                        Part::Image { .. } => self.report(&format!("{pointer}/{position}"), PromptProblem::Image),
                    }
                }
            }
        }
        self.messages.push((role, templates));
    }

    fn template(&mut self, pointer: &str, source: &str) -> Option<Template> {
        match Template::compile(source, self.columns) {
            Ok(template) => Some(template),
            Err(error) => {
                self.report(pointer, error.into());
                None
            }
        }
    }

    fn report(&mut self, pointer: &str, problem: PromptProblem) {
        self.errors.push(PromptError { pointer: pointer.to_owned(), problem });
    }
}
