//! What each row asks for: by the job's prompt, or by its own line.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use dataset::input::InputSchema;
use dataset::row::{Rows, line};
use domain::format::InputFormat;
use domain::job::Spec;
use domain::job::spec::Params;
use domain::openai_line::{self, LineModel};
use domain::outcome::ItemError;
use domain::prompt::{Message, Prompt, PromptError};
use domain::template::{Columns, RenderError};

/// Compiled once for a job. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Requests {
    Prompt {
        prompt: Prompt,
        rows: Rows,
    },
    /// Lines of OpenAI's batch files; the job's parameters stand where a line says nothing.
    Lines {
        params: Arc<Params>,
    },
}

/// One row's request.
pub(crate) struct Request {
    pub messages: Vec<Message>,
    /// `None`: the job's.
    pub params: Option<Params>,
}

impl Requests {
    pub(crate) fn new(spec: &Spec, schema: &InputSchema) -> Result<Self, Vec<PromptError>> {
        match spec.input.format {
            InputFormat::Openai => Ok(Self::Lines { params: Arc::new(spec.params.clone()) }),
            InputFormat::Csv | InputFormat::Jsonl | InputFormat::Parquet | InputFormat::Tsv => {
                let prompt = Prompt::compile(&spec.prompt, &Columns::new(schema.column_names()))?;
                Ok(Self::Prompt { prompt, rows: Rows::new(schema) })
            }
        }
    }

    /// The request of a row that plan has found sound. It can fail only if a work file has changed.
    pub(crate) fn of(&self, rows: &Arc<RecordBatch>, index: usize) -> Result<Request, ItemError> {
        self.checked(rows, index, usize::MAX, None)
    }

    /// The request of a row; its texts have at most `max_bytes`, and a line's model is `model`.
    ///
    /// # Errors
    /// Why the row can't be sent.
    pub(crate) fn checked(
        &self,
        batch: &Arc<RecordBatch>,
        index: usize,
        max_bytes: usize,
        model: Option<&LineModel>,
    ) -> Result<Request, ItemError> {
        match self {
            Self::Prompt { prompt, rows } => {
                let messages =
                    prompt.render(&rows.row(batch, index), max_bytes).map_err(|error| not_rendered(&error))?;
                Ok(Request { messages, params: None })
            }
            Self::Lines { params } => {
                let request = openai_line::read(line(batch, index).unwrap_or_default(), model)?;
                if request.messages.iter().map(|message| message.text.len()).sum::<usize>() > max_bytes {
                    return Err(not_rendered(&RenderError::TooLarge { max_bytes }));
                }
                Ok(Request { messages: request.messages, params: Some(request.params.or(params)) })
            }
        }
    }
}

fn not_rendered(error: &RenderError) -> ItemError {
    ItemError::new(error.code(), error.to_string())
}
