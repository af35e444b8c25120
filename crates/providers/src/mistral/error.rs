//! What is Mistral's own among errors. They stand at the top of the body, and field by field in `detail` for a 422.

use domain::failure::Class;

use crate::openai::error::{self, Judgement, Signs};

pub(super) fn classify(status: u16, signs: &Signs) -> Judgement {
    match status {
        // There is no code for it.
        400 if signs.message.contains("maximum context length") => (Class::Permanent, "context_length_exceeded"),
        _ => error::classify(status, signs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> (Judgement, String) {
        let signs = Signs::of_body(body.as_bytes());
        (classify(status, &signs), signs.message)
    }

    #[test]
    fn errors_stand_at_the_top() {
        let long = "Prompt contains 40000 tokens, too large for model with 32768 maximum context length";
        let body = format!(
            r#"{{"object":"error","message":"{long}","type":"invalid_request_error","param":null,"code":"3051"}}"#
        );
        assert_eq!(read(400, &body), ((Class::Permanent, "context_length_exceeded"), long.to_owned()));
        let limit = r#"{"object":"error","message":"Requests rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}"#;
        assert_eq!(read(429, limit), ((Class::Wait, "rate_limited"), "Requests rate limit exceeded".to_owned()));
        assert_eq!(
            read(401, r#"{"detail":"Unauthorized"}"#),
            ((Class::KeyLevel, "provider_auth_failed"), "Unauthorized".to_owned())
        );
    }

    #[test]
    fn a_field_that_is_refused_is_named() {
        let (judgement, message) = read(
            422,
            r#"{"object":"error","message":{"detail":[{"loc":["body","x"],"msg":"extra"}]},"type":"invalid_request_error"}"#,
        );
        assert_eq!(judgement, (Class::Permanent, "provider_rejected"));
        assert!(message.contains("extra"), "{message}");
        assert!(read(422, r#"{"detail":[{"loc":["body","x"],"msg":"extra"}]}"#).1.contains("extra"));
    }
}
