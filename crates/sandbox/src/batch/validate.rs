//! The validation of an input file, and the index that it makes.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read};

use super::marker::{self, RowFault};
use super::record::ProviderBatch;
use super::view::Problem;
use crate::config::Config;
use crate::deliveries::Digest;
use crate::state::Sandbox;

/// No more are told.
const MAX_PROBLEMS: usize = 20;

/// After so many lines it looks whether the sandbox stops.
const STEP: u64 = 1024;

/// Where the requests of a valid input file are.
#[derive(Debug)]
pub(crate) struct Index {
    /// Where each line begins, and where the last ends.
    pub offsets: Vec<u64>,
    /// The model of all requests, where the family wants only one.
    pub model: Option<String>,
    /// Prompt tokens of all requests.
    pub tokens: u64,
}

impl Index {
    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }
}

/// Reads the whole input file of `batch`, line by line.
pub(super) fn validate(
    sandbox: &Sandbox,
    config: &Config,
    batch: &ProviderBatch,
) -> io::Result<Result<Index, Vec<Problem>>> {
    let mut validation = Validation {
        sandbox,
        config,
        batch,
        index: Index { offsets: vec![0], model: batch.model.clone(), tokens: 0 },
        custom_ids: HashSet::new(),
        problems: Vec::new(),
    };
    validation.read()?;
    Ok(if validation.problems.is_empty() { Ok(validation.index) } else { Err(validation.problems) })
}

struct Validation<'a> {
    sandbox: &'a Sandbox,
    config: &'a Config,
    batch: &'a ProviderBatch,
    index: Index,
    /// Hashes, as the ids of a million requests would take too much memory. Among so many, two share one with
    /// a probability of 3 in 100 million.
    custom_ids: HashSet<u64>,
    problems: Vec<Problem>,
}

impl Validation<'_> {
    fn read(&mut self) -> io::Result<()> {
        let rules = self.batch.wire.rules();
        let max_requests = self.config.batch.max_requests.unwrap_or(rules.max_requests);
        let max_line = self.config.batch.max_line_bytes.unwrap_or(rules.max_line_bytes);
        let mut reader = BufReader::with_capacity(256 * 1024, File::open(self.batch.input.path())?);
        let mut line = Vec::new();
        let (mut number, mut end) = (0_u64, 0_u64);
        while self.problems.len() < MAX_PROBLEMS {
            line.clear();
            // One byte more than may be, so that a line too long is seen without reading it whole.
            let read = reader.by_ref().take(max_line.saturating_add(2)).read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            number += 1;
            end += read as u64;
            if number.is_multiple_of(STEP) && self.sandbox.batches.is_closing() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.index.offsets.push(end);
            if number > max_requests {
                let message = format!("The file has more than {max_requests} requests.");
                self.problems.push(Problem { code: "too_many_tasks", message, param: None, line: None });
                return Ok(());
            }
            let content = line.strip_suffix(b"\n").unwrap_or(&line);
            if content.len() as u64 > max_line {
                let message = format!("The line is longer than {max_line} bytes.");
                self.problems.push(Problem { code: "invalid_request", message, param: None, line: Some(number) });
                return Ok(());
            }
            if let Err(problem) = self.check(content, number) {
                self.problems.push(problem);
            }
        }
        if number == 0 {
            let message = "The file is empty.".to_owned();
            self.problems.push(Problem { code: "empty_file", message, param: None, line: None });
        }
        Ok(())
    }

    fn check(&mut self, line: &[u8], number: u64) -> Result<(), Problem> {
        let at = |problem| Problem { line: Some(number), ..problem };
        if line.trim_ascii().is_empty() {
            return Err(Problem::invalid_json(number, "it is blank"));
        }
        if number == 1 && line.starts_with(b"\xef\xbb\xbf") {
            return Err(self.batch.wire.byte_order_mark());
        }
        let item = self.batch.wire.split(line, self.batch).map_err(at)?;
        let mut hasher = DefaultHasher::new();
        item.custom_id.hash(&mut hasher);
        if !self.custom_ids.insert(hasher.finish()) {
            let message = format!("The custom_id '{}' is used more than once.", item.custom_id);
            let param = Some("custom_id".to_owned());
            return Err(Problem { code: "duplicate_custom_id", message, param, line: Some(number) });
        }
        let measured = self.batch.wire.measure(item.body, self.batch);
        self.index.tokens = self.index.tokens.saturating_add(measured.prompt_tokens);
        if self.batch.wire.rules().one_model {
            self.check_model(measured.model.as_deref()).map_err(at)?;
        }
        self.check_marker(item.body, number)
    }

    fn check_model(&mut self, model: Option<&str>) -> Result<(), Problem> {
        let param = Some("body.model".to_owned());
        let (code, message) = match (model, self.index.model.as_deref()) {
            (None, Some(_)) if self.batch.model.is_some() => return Ok(()),
            (None, _) => ("invalid_request", "The request names no model.".to_owned()),
            (Some(model), Some(first)) if model == first => return Ok(()),
            (Some(model), Some(first)) => {
                ("model_mismatch", format!("The request names the model '{model}', others the model '{first}'."))
            }
            (Some(model), None) if self.config.models.contains_key(model) => {
                self.index.model = Some(model.to_owned());
                return Ok(());
            }
            (Some(model), None) => ("model_not_found", format!("The model '{model}' does not exist.")),
        };
        Err(Problem { code, message, param, line: None })
    }

    /// Meets a marker that makes the whole file invalid. Only a delivery that meets it counts: the others are
    /// counted when they are answered.
    fn check_marker(&self, body: &[u8], number: u64) -> Result<(), Problem> {
        for marker in marker::in_body(body) {
            let RowFault::Invalid { line } = marker.fault else {
                continue;
            };
            let digest = Digest::of(&self.batch.wire.identity(body, self.batch));
            if marker.applies(self.sandbox.deliveries.seen(digest).saturating_add(1)) {
                self.sandbox.deliveries.count(digest);
                let message = "The sandbox was told to find this line invalid.".to_owned();
                let line = line.then_some(number);
                return Err(Problem { code: "invalid_request", message, param: None, line });
            }
        }
        Ok(())
    }
}
