//! Parameters of the model's calls.

use clap::Args;
use serde_json::{Map, Number, Value};

use super::pair;

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Model parameters")]
pub struct Parameters {
    /// How freely answers vary
    #[arg(long, value_name = "NUMBER")]
    temperature: Option<Number>,
    /// Share of the likeliest tokens to choose from
    #[arg(long, value_name = "NUMBER")]
    top_p: Option<Number>,
    /// Longest answer, in tokens
    #[arg(long, value_name = "N")]
    max_output_tokens: Option<u32>,
    /// Text at which an answer stops; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// For answers that repeat, where the model can
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<i64>,
    /// How long a reasoning model thinks, such as low, medium or high
    #[arg(long, value_name = "EFFORT")]
    reasoning_effort: Option<String>,
    /// Any other parameter, JSON or text, such as extra={"top_k":4}; may be given several times
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair::parse_json)]
    others: Vec<(String, Value)>,
}

impl Parameters {
    pub fn into_json(self) -> Map<String, Value> {
        let named = [
            ("temperature", self.temperature.map(Value::from)),
            ("top_p", self.top_p.map(Value::from)),
            ("max_output_tokens", self.max_output_tokens.map(Value::from)),
            ("stop", (!self.stop.is_empty()).then(|| self.stop.into())),
            ("seed", self.seed.map(Value::from)),
            ("reasoning_effort", self.reasoning_effort.map(Value::from)),
        ];
        let named = named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        named.chain(self.others).collect()
    }
}
