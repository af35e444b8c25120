//! Texts that are given in place or in a file.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::command::{CommandError, Result};

#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub struct Prompt {
    /// Prompt template, such as "Classify: {{ body }}"; with the input format openai there is none
    #[arg(long, value_name = "TEMPLATE", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// File that holds the prompt template; - is standard input
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub struct System {
    /// System prompt template
    #[arg(long, value_name = "TEMPLATE", allow_hyphen_values = true)]
    system: Option<String>,
    /// File that holds the system prompt template; - is standard input
    #[arg(long, value_name = "FILE")]
    system_file: Option<PathBuf>,
}

impl Prompt {
    /// The template; empty where `input_format` is of requests, which need none.
    pub fn read(&self, input_format: Option<&str>) -> Result<String> {
        match read(self.prompt.as_deref(), self.prompt_file.as_deref())? {
            Some(text) => Ok(text),
            None if input_format == Some("openai") => Ok(String::new()),
            None => Err(CommandError::Usage("give --prompt or --prompt-file".to_owned())),
        }
    }
}

impl System {
    pub fn read(&self) -> Result<Option<String>> {
        read(self.system.as_deref(), self.system_file.as_deref())
    }
}

fn read(text: Option<&str>, file: Option<&Path>) -> Result<Option<String>> {
    match (text, file) {
        (Some(text), _) => Ok(Some(text.to_owned())),
        (None, Some(path)) => read_file(path).map(Some),
        (None, None) => Ok(None),
    }
}

/// The text of a file, or of standard input for `-`.
pub fn read_file(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|source| CommandError::Input { source })?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(|source| CommandError::File { action: "read", path: path.to_owned(), source })
}
