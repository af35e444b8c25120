//! Mistral's names of the parameters: a request with a field that it doesn't know is refused.

use domain::job::spec::Params;
use serde::Serialize;

use crate::openai::encode::open;

#[derive(Serialize)]
struct Fixed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    random_seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(flatten)]
    extra: &'a serde_json::Map<String, serde_json::Value>,
}

/// The request up to its messages. `None`: its job names the model.
pub(super) fn prepare(model: Option<&str>, params: &Params) -> Vec<u8> {
    open(&Fixed {
        model,
        temperature: params.temperature,
        top_p: params.top_p,
        max_tokens: params.max_output_tokens,
        stop: &params.stop,
        // No seed may be negative; any other number serves as well.
        random_seed: params.seed.map(|seed| seed & i64::MAX),
        reasoning_effort: params.reasoning_effort.as_deref(),
        extra: &params.extra,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_mistral_s_names() {
        let params = Params { max_output_tokens: Some(9), seed: Some(7), ..Params::default() };
        assert_eq!(prepare(Some("m"), &params), br#"{"model":"m","max_tokens":9,"random_seed":7,"messages":"#);
        assert_eq!(prepare(None, &Params::default()), br#"{"messages":"#);
        let negative = Params { seed: Some(-1), ..Params::default() };
        assert_eq!(prepare(None, &negative), br#"{"random_seed":9223372036854775807,"messages":"#);
    }
}
