//! `KEY=VALUE`.

use serde_json::Value;

/// # Errors
/// No `=`, or nothing before it.
pub fn parse(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not KEY=VALUE")),
    }
}

/// A pair whose value is JSON where it reads as such, or else text.
pub fn parse_json(text: &str) -> Result<(String, Value), String> {
    let (key, value) = parse(text)?;
    let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_json_or_text() {
        assert_eq!(parse_json("seed=7"), Ok(("seed".into(), json!(7))));
        assert_eq!(parse_json(r#"extra={"top_k": 4}"#), Ok(("extra".into(), json!({"top_k": 4}))));
        assert_eq!(parse_json("effort=low=er"), Ok(("effort".into(), json!("low=er"))));
        assert!(parse_json("seed").is_err() && parse_json("=7").is_err());
    }
}
