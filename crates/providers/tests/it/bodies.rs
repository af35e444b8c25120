//! What is sent, against the providers' own schemas.

use domain::job::spec::Params;
use domain::prompt::{Message, Role};
use domain::provider::Driver;
use jsonschema::Validator;
use providers::{Connection, Input, NewBatch};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::connect_with;

const OPENAI: &str = include_str!("../schemas/openai.json");
const MISTRAL: &str = include_str!("../schemas/mistral.json");
const TOGETHER: &str = include_str!("../schemas/together.json");

struct Case {
    kind: Driver,
    schemas: &'static str,
    chat: &'static str,
    create: &'static str,
    jobs: &'static str,
}

const fn openai(kind: Driver) -> Case {
    let (chat, create) = ("CreateChatCompletionRequest", "CreateBatchRequest");
    Case { kind, schemas: OPENAI, chat, create, jobs: "/v1/batches" }
}

/// Groq and Azure publish no schema of their own: theirs is OpenAI's.
const CASES: [Case; 5] = [
    openai(Driver::Openai),
    openai(Driver::AzureOpenai),
    openai(Driver::Groq),
    Case {
        kind: Driver::Mistral,
        schemas: MISTRAL,
        chat: "ChatCompletionRequest",
        create: "CreateBatchJobRequest",
        jobs: "/v1/batch/jobs",
    },
    Case {
        kind: Driver::Together,
        schemas: TOGETHER,
        chat: "ChatCompletionRequest",
        create: "CreateBatchRequest",
        jobs: "/v1/batches",
    },
];

fn validator(schemas: &str, name: &str) -> Validator {
    let mut schema: Value = serde_json::from_str(schemas).expect("JSON");
    schema["$ref"] = format!("#/$defs/{name}").into();
    jsonschema::validator_for(&schema).expect("a schema")
}

fn assert_valid(case: &Case, name: &str, body: &Value) {
    let errors: Vec<_> = validator(case.schemas, name).iter_errors(body).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{}: {errors:?} in {body}", case.kind.name());
}

async fn server(case: &Case) -> (MockServer, Connection) {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(200).set_body_json(json!({"id": "b1", "job": {"id": "b1"}}));
    Mock::given(method("POST")).and(path(case.jobs)).respond_with(reply).mount(&server).await;
    Mock::given(path("/v1/chat/completions")).respond_with(ResponseTemplate::new(500)).mount(&server).await;
    let options = [("batch_endpoint", "/v1/chat/completions")];
    let connection = connect_with(case.kind, &format!("{}/v1", server.uri()), &options);
    (server, connection)
}

async fn sent(server: &MockServer) -> Value {
    let request = server.received_requests().await.expect("a record").remove(0);
    request.body_json().expect("JSON")
}

fn all_params() -> Params {
    Params {
        temperature: Some(0.5),
        top_p: Some(0.9),
        max_output_tokens: Some(100),
        stop: vec!["\n".to_owned(), "END".to_owned()],
        seed: Some(-7),
        reasoning_effort: Some("low".to_owned()),
        ..Params::default()
    }
}

fn messages() -> Vec<Message> {
    [(Role::System, "s"), (Role::User, "a\n\"b\" \0 \u{1f600}"), (Role::Assistant, "so")]
        .map(|(role, text)| Message { role, text: text.to_owned() })
        .into()
}

#[tokio::test]
async fn calls_and_lines_are_valid_and_say_the_same() {
    for case in &CASES {
        for params in [Params::default(), all_params()] {
            let (server, connection) = server(case).await;
            let driver = connection.realtime;
            driver.chat(&driver.prepare(&params), &messages()).await.result.expect_err("a 500");
            let call = sent(&server).await;
            assert_valid(case, case.chat, &call);
            assert_eq!(call["messages"][1]["content"], "a\n\"b\" \0 \u{1f600}");

            let batch = connection.batch.expect("a batch API");
            let mut line = Vec::new();
            batch.encode(&batch.prepare(&params), "r-0_Z", &messages(), &mut line);
            let mut line: Value = serde_json::from_slice(&line).expect("one JSON value");
            if case.kind == Driver::Mistral {
                assert!(line["body"].get("model").is_none());
                line["body"]["model"] = "m-1".into();
            }
            assert_valid(case, case.chat, &line["body"]);
            assert_eq!((&line["custom_id"], &line["body"]), (&json!("r-0_Z"), &call), "{}", case.kind.name());
        }
    }
}

/// The fields that a schema names, with those of its parts.
fn fields(schemas: &Value, schema: &Value) -> Vec<String> {
    let own = schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys().cloned());
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| fields(schemas, part));
    let referred = schema["$ref"].as_str().map(|pointer| &schemas["$defs"][pointer.trim_start_matches("#/$defs/")]);
    own.chain(parts).chain(referred.into_iter().flat_map(|schema| fields(schemas, schema))).collect()
}

#[tokio::test]
async fn no_field_is_sent_that_the_schema_does_not_name() {
    for case in &CASES {
        let schemas: Value = serde_json::from_str(case.schemas).expect("JSON");
        let fields = fields(&schemas, &schemas["$defs"][case.chat]);
        let (server, connection) = server(case).await;
        let driver = connection.realtime;
        driver.chat(&driver.prepare(&all_params()), &messages()).await.result.expect_err("a 500");
        for name in sent(&server).await.as_object().expect("an object").keys() {
            assert!(fields.contains(name), "{}: {name}", case.kind.name());
        }
    }
}

#[tokio::test]
async fn creates_are_valid() {
    for case in &CASES {
        let (server, connection) = server(case).await;
        let tag = "d_01jd8c3v5kf1h8x6q2m4n7p9rs-0001-AAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let batch = NewBatch { input: Input::File("file-1"), tag, window_s: 86_400 };
        let created = connection.batch.expect("a batch API").create(&batch).await;
        assert_eq!(created, Ok("b1".to_owned()), "{}", case.kind.name());
        assert_valid(case, case.create, &sent(&server).await);
    }
}

#[test]
fn the_schemas_refuse_what_is_wrong() {
    let refuses = |schemas: &str, name: &str, body: Value| !validator(schemas, name).is_valid(&body);
    assert!(refuses(
        OPENAI,
        "CreateBatchRequest",
        json!({"input_file_id": "f", "endpoint": "/x", "completion_window": "24h"})
    ));
    assert!(refuses(OPENAI, "CreateChatCompletionRequest", json!({"model": "m", "messages": []})));
    assert!(refuses(OPENAI, "CreateChatCompletionRequest", json!({"messages": [{"role": "user", "content": "x"}]})));
    assert!(refuses(TOGETHER, "CreateBatchRequest", json!({"endpoint": "/v1/chat/completions"})));
    assert!(refuses(TOGETHER, "ChatCompletionRequest", json!({"model": "m", "messages": [{"role": "user"}]})));
    assert!(refuses(MISTRAL, "ChatCompletionRequest", json!({"model": "m", "messages": [], "seed": 1})));
    assert!(refuses(MISTRAL, "CreateBatchJobRequest", json!({"endpoint": "/x", "timeout_hours": 169})));
}
