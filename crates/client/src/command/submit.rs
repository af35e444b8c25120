//! `gristmill submit`

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use clap::Args;

use super::arguments::location::Location;
use super::arguments::moment::Moment;
use super::arguments::pair;
use super::arguments::parameters::Parameters;
use super::arguments::prompt::{Prompt, System};
use super::{Outcome, Result, Session};
use crate::api::{IfExists, InputPlace, JobLimits, OutputPlace, Submission};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Where the service writes the output [default: it keeps it; `gristmill output` fetches it]
    #[arg(long, short, value_name = "URI|FILE")]
    pub output: Option<Location>,
    #[command(flatten)]
    pub job: JobArguments,
}

/// What a job is, apart from where its output goes.
#[derive(Debug, Args)]
pub struct JobArguments {
    /// Table to read: s3://bucket/path, or a file that the service can read too
    #[arg(value_name = "URI|FILE")]
    pub input: Location,
    /// Model, as `gristmill models` lists it
    #[arg(long, short, value_name = "PROVIDER/MODEL")]
    pub model: String,
    #[command(flatten)]
    pub prompt: Prompt,
    #[command(flatten)]
    pub system: System,
    /// Name of the job
    #[arg(long)]
    pub name: Option<String>,
    /// Format of the output, csv, tsv, jsonl or parquet [default: by the output's ending, or as the input]
    #[arg(long, visible_alias = "output-format", value_name = "FORMAT")]
    pub format: Option<String>,
    /// Format of the input, csv, tsv, jsonl, parquet or openai [default: by its ending]
    #[arg(long, value_name = "FORMAT")]
    pub input_format: Option<String>,
    /// Character between the cells of a CSV input [default: a comma, or a tab for tsv]
    #[arg(long, value_name = "CHARACTER", allow_hyphen_values = true)]
    pub delimiter: Option<String>,
    /// What the added columns' names begin with [default: llm_]
    #[arg(long, value_name = "PREFIX")]
    pub column_prefix: Option<String>,
    /// What to do where the output is there already [default: error]
    #[arg(long, value_enum, value_name = "ACTION")]
    pub if_exists: Option<IfExists>,
    /// Attempts before a row fails
    #[arg(long, value_name = "N")]
    pub max_attempts: Option<u32>,
    /// When the job expires: a time (RFC 3339) or a span such as 6h [default: 7d]
    #[arg(long, value_name = "TIME|SPAN")]
    pub deadline: Option<Moment>,
    /// A label; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair::parse)]
    pub metadata: Vec<(String, String)>,
    /// A second submission with the same key is the same job [default: a new key]
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    #[command(flatten)]
    pub parameters: Parameters,
}

impl JobArguments {
    /// The submission, with the output at `output_uri`.
    pub fn submission(self, output_uri: Option<String>, now: DateTime<Utc>) -> Result<Submission> {
        let prompt = self.prompt.read(self.input_format.as_deref())?;
        Ok(Submission {
            name: self.name,
            input: InputPlace { uri: self.input.existing_uri()?, format: self.input_format, delimiter: self.delimiter },
            output: OutputPlace {
                uri: output_uri,
                format: self.format,
                column_prefix: self.column_prefix,
                if_exists: self.if_exists,
            },
            model: self.model,
            system: self.system.read()?,
            prompt,
            params: self.parameters.into_json(),
            limits: JobLimits { max_attempts: self.max_attempts },
            deadline: self.deadline.map(|deadline| deadline.from(now)).transpose()?,
            metadata: BTreeMap::from_iter(self.metadata),
            ..Submission::default()
        })
    }
}

pub async fn run(arguments: Arguments, session: &mut Session) -> Result<Outcome> {
    let output_uri = arguments.output.as_ref().map(Location::future_uri).transpose()?;
    let idempotency_key = arguments.job.idempotency_key.clone();
    let submission = arguments.job.submission(output_uri, session.now)?;
    let job = session.client.submit(&submission, idempotency_key.as_deref()).await?;
    if session.json {
        session.terminal.json(&job.json)?;
    } else {
        session.terminal.line(&job.id)?;
        if session.terminal.shows_notes() {
            session.terminal.note(&format!("follow it with: gristmill watch {}", job.id))?;
        }
    }
    Ok(Outcome::Done)
}
