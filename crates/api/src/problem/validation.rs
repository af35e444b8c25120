//! All that is wrong with a request, collected before it is refused.

use axum::http::StatusCode;

use super::{FieldError, Problem};

/// Codes that say what is wrong with a field and nothing about what the caller wanted.
const GENERAL: [&str; 6] =
    ["invalid_type", "invalid_value", "out_of_range", "required", "unknown_field", "validation_failed"];

#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<FieldError>);

impl Problems {
    pub(crate) fn of(pointer: &str, code: &'static str, message: impl Into<String>) -> Self {
        let mut problems = Self::default();
        problems.report(pointer, code, message);
        problems
    }

    pub(crate) fn report(&mut self, pointer: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.0.push(FieldError { pointer: pointer.into(), code, message: message.into() });
    }

    /// # Errors
    /// If anything was reported.
    pub(crate) fn check(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into_problem()) }
    }

    /// The code of the whole is that of its parts where they agree on one that says something.
    pub(super) fn into_problem(self) -> Problem {
        let code = match self.0.split_first() {
            Some((first, rest))
                if !GENERAL.contains(&first.code) && rest.iter().all(|error| error.code == first.code) =>
            {
                first.code
            }
            _ => "validation_failed",
        };
        let detail = match self.0.as_slice() {
            [error] => error.message.clone(),
            errors => format!("{} fields are wrong: see `errors`", errors.len()),
        };
        Problem { errors: self.0, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail) }
    }

    #[cfg(test)]
    pub(crate) fn into_pairs(self) -> Vec<(String, &'static str)> {
        self.0.into_iter().map(|error| (error.pointer, error.code)).collect()
    }

    #[cfg(test)]
    pub(crate) fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|error| (error.pointer.as_str(), error.code)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(codes: &[&'static str]) -> &'static str {
        let mut problems = Problems::default();
        for code in codes {
            problems.report("/x", code, "message");
        }
        problems.check().expect_err("problems").code
    }

    #[test]
    fn parts_that_agree_name_the_whole() {
        assert_eq!(code(&["not_yet_supported", "not_yet_supported"]), "not_yet_supported");
        assert_eq!(code(&["not_yet_supported", "unknown_field"]), "validation_failed");
        assert_eq!(code(&["metadata_limit"]), "metadata_limit");
        assert_eq!(code(&["unknown_field"]), "validation_failed");
    }

    #[test]
    fn nothing_reported_is_no_problem() {
        assert!(Problems::default().check().is_ok());
    }
}
