use serde_json::json;
use utoipa::PartialSchema;

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
}

fn minimal() -> Value {
    json!({"input": {"uri": "s3://acme-data/x.csv"}, "model": "openai/gpt", "prompt": "Hi {{ name }}"})
}

/// The minimal body with fields replaced.
fn with(changes: Value) -> Value {
    let mut body = minimal();
    let Value::Object(changes) = changes else { panic!("an object") };
    body.as_object_mut().expect("an object").extend(changes);
    body
}

/// Pointers and codes of what is wrong.
fn problems(body: Value) -> Vec<(String, String)> {
    let mut problems = Problems::default();
    let request = Fields::of_body(body, &mut problems).and_then(|fields| read(fields, now()));
    assert!(request.is_some() || !problems.pairs().is_empty(), "refused without a reason");
    problems.pairs().into_iter().map(|(pointer, code)| (pointer.to_owned(), code.to_owned())).collect()
}

fn assert_problems(body: Value, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(pointer, code)| ((*pointer).to_owned(), (*code).to_owned())).collect();
    assert_eq!(problems(body), expected);
}

#[test]
fn a_minimal_submission_gets_every_default() {
    let request = check(minimal(), now()).expect("sound");
    assert_eq!(request.spec.input.format, InputFormat::Csv);
    assert_eq!(request.spec.output.format, Format::Csv);
    assert_eq!(request.spec.output.column_prefix, "llm_");
    assert_eq!(request.spec.limits.max_attempts, 5);
    assert_eq!(request.deadline, now() + Duration::days(7));
    assert_eq!((request.output, request.spec.output.uri), (None, None));
}

#[test]
fn formats_come_from_extensions_and_then_from_the_input() {
    let format = |changes| check(with(changes), now()).expect("sound").spec.output.format;
    assert_eq!(format(json!({"output": {"uri": "s3://acme-data/out.PARQUET"}})), Format::Parquet);
    assert_eq!(format(json!({"output": {"uri": "s3://acme-data/out"}})), Format::Csv);
    assert_eq!(format(json!({"output": {"uri": "s3://acme-data/out.jsonl"}})), Format::Jsonl);
    assert_eq!(format(json!({"input": {"uri": "s3://acme-data/x.jsonl.gz"}})), Format::Jsonl);
    assert_eq!(format(json!({"output": {"format": "parquet"}})), Format::Parquet);
}

#[test]
fn compressed_files_are_read_and_not_written() {
    let format = |uri: &str| problems(with(json!({"input": {"uri": uri}})));
    assert_eq!(format("s3://acme-data/x.csv.gz"), []);
    assert_eq!(format("s3://acme-data/x.CSV.zst"), []);
    for output in
        [json!({"uri": "s3://acme-data/out.csv.gz"}), json!({"uri": "s3://acme-data/out.csv.zst", "format": "csv"})]
    {
        assert_problems(with(json!({"output": output})), &[("/output/uri", "not_yet_supported")]);
    }
}

#[test]
fn b3_all_problems_come_at_once() {
    let body = json!({
        "input": {"uri": "../x", "odd": 1}, "model": "gpt", "params": {"temperature": 3, "stop": ["", 1], "extra": {"model": "x", "user": "y"}},
        "limits": {"max_attempts": 0}, "deadline": "tomorrow", "batch": true,
    });
    assert_problems(
        body,
        &[
            ("/input/uri", "invalid_object_path"),
            ("/input/format", "required"),
            ("/input/odd", "unknown_field"),
            ("/model", "invalid_value"),
            ("/prompt", "validation_failed"),
            ("/params/temperature", "out_of_range"),
            ("/params/stop/0", "invalid_type"),
            ("/params/stop/1", "invalid_type"),
            ("/params/extra/model", "invalid_value"),
            ("/limits/max_attempts", "out_of_range"),
            ("/deadline", "invalid_value"),
            ("/batch", "unknown_field"),
        ],
    );
    assert_problems(json!([]), &[("", "invalid_type")]);
}

#[test]
fn fields_of_later_work_are_named_as_such() {
    for field in LATER {
        assert_problems(with(json!({field: {"x": 1}})), &[(&format!("/{field}"), "not_yet_supported")]);
    }
    assert_problems(with(json!({"model": ["openai/a", "openai/b"]})), &[("/model", "not_yet_supported")]);
    assert_problems(with(json!({"task": "embedding"})), &[("/task", "not_yet_supported")]);
    let limits = json!({"max_cost_usd": "1", "max_failed_fraction": 0.1, "retry_refusals": true});
    assert_eq!(problems(with(json!({"limits": limits}))).len(), 3);
    let output = json!({"flatten": true, "escape_formulas": true});
    assert_eq!(problems(with(json!({"output": output}))).len(), 2);
    let input = json!({"uri": "s3://acme-data/x.csv", "id_column": "id", "on_bad_row": "fail_job"});
    assert_eq!(problems(with(json!({"input": input}))).len(), 2);
}

#[test]
fn b26_names_and_metadata_have_no_nul() {
    assert_problems(with(json!({"name": "a\0"})), &[("/name", "invalid_string")]);
    assert_problems(with(json!({"metadata": {"a": "\0"}})), &[("/metadata/a", "invalid_string")]);
    let good = check(with(json!({"name": "😀 \u{202e}", "metadata": {"ü": "😀"}})), now()).expect("sound");
    assert_eq!(good.spec.name.as_deref(), Some("😀 \u{202e}"));
}

#[test]
fn b27_metadata_has_limits() {
    let many: serde_json::Map<_, _> = (0..17).map(|number| (number.to_string(), json!("x"))).collect();
    assert_problems(with(json!({"metadata": many})), &[("/metadata", "metadata_limit")]);
    let key = "k".repeat(65);
    assert_problems(with(json!({"metadata": {&key: "x"}})), &[(&format!("/metadata/{key}"), "metadata_limit")]);
    assert_problems(with(json!({"metadata": {"a": "v".repeat(513)}})), &[("/metadata/a", "metadata_limit")]);
}

#[test]
fn deadlines_lie_in_the_next_30_days() {
    for (days, sound) in [(-1, false), (0, false), (1, true), (30, true), (31, false)] {
        let deadline = (now() + Duration::days(days)).to_rfc3339();
        assert_eq!(problems(with(json!({"deadline": deadline}))).is_empty(), sound, "{days}");
    }
}

#[test]
fn prefixes_are_identifiers() {
    for (prefix, sound) in
        [("out_", true), ("_", true), ("", false), ("1x", false), ("a-b", false), (&*"x".repeat(65), false)]
    {
        assert_eq!(problems(with(json!({"output": {"column_prefix": prefix}}))).is_empty(), sound, "{prefix}");
    }
}

#[test]
fn d1_d3_paths_and_schemes_are_checked() {
    assert_problems(
        with(json!({"output": {"uri": "s3://acme-data/../x.csv"}})),
        &[("/output/uri", "invalid_object_path")],
    );
    assert_problems(
        with(json!({"input": {"uri": "https://acme.test/x.csv"}})),
        &[("/input/uri", "scheme_not_supported")],
    );
}

#[test]
fn h2_h6_templates_are_checked_before_the_input_is_read() {
    assert_problems(with(json!({"prompt": "{{ a"})), &[("/prompt", "template_syntax")]);
    assert_problems(
        with(json!({"prompt": "x", "system": "{% include 'x' %}"})),
        &[("/system", "template_feature_not_allowed")],
    );
    assert_problems(with(json!({"prompt": "  "})), &[("/prompt", "prompt_empty")]);
}

#[test]
fn messages_stand_in_place_of_a_prompt() {
    let messages =
        json!([{"role": "system", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "{{ b }}"}]}]);
    let body =
        |messages| json!({"input": {"uri": "s3://acme-data/x.csv"}, "model": "openai/gpt", "messages": messages});
    assert_eq!(check(body(messages), now()).expect("sound").spec.prompt.messages.expect("messages").len(), 2);
    let image = json!([{"role": "user", "content": [{"type": "image", "url": "x"}]}]);
    assert!(problems(body(image)).contains(&("/messages/0/content/0".into(), "not_yet_supported".into())));
    let odd = json!([{"role": "robot", "content": 1, "name": "x"}, {"role": "user", "content": "x"}]);
    let odd = problems(body(odd));
    for expected in [
        ("/messages/0/role", "invalid_value"),
        ("/messages/0/content", "invalid_type"),
        ("/messages/0/name", "unknown_field"),
    ] {
        assert!(odd.contains(&(expected.0.into(), expected.1.into())), "{odd:?}");
    }
}

#[test]
fn delimiters_are_one_character_of_csv() {
    let input = |more: Value| {
        let mut input = json!({"uri": "s3://acme-data/x.tsv"});
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        with(json!({"input": input}))
    };
    let spec = check(input(json!({"delimiter": ";", "format": "csv"})), now()).expect("sound").spec;
    assert_eq!((spec.input.format, spec.input.delimiter), (InputFormat::Csv, Some(b';')));
    let spec = check(input(json!({})), now()).expect("sound").spec;
    assert_eq!((spec.input.format, spec.input.delimiter, spec.output.format), (InputFormat::Tsv, None, Format::Tsv));
    for delimiter in ["", "ab", "\"", "\n", "\u{e9}"] {
        assert_problems(input(json!({"delimiter": delimiter})), &[("/input/delimiter", "invalid_value")]);
    }
    assert_problems(input(json!({"delimiter": ",", "format": "jsonl"})), &[("/input/delimiter", "invalid_value")]);
}

#[test]
fn lines_of_requests_bring_their_own_messages() {
    let input = json!({"uri": "s3://acme-data/x.jsonl", "format": "openai"});
    let body = json!({"input": input, "model": "openai/gpt"});
    let request = check(body, now()).expect("sound");
    assert_eq!((request.spec.input.format, request.spec.output.format), (InputFormat::Openai, Format::Jsonl));
    assert_problems(
        with(json!({"input": input, "system": "x", "messages": []})),
        &[("/system", "invalid_value"), ("/prompt", "invalid_value"), ("/messages", "invalid_value")],
    );
    assert_problems(with(json!({"output": {"format": "openai"}})), &[("/output/format", "invalid_value")]);
}

#[test]
fn every_documented_field_is_known() {
    let schema = serde_json::to_value(crate::jobs::schema::JobRequest::schema()).expect("JSON");
    let names = schema["properties"].as_object().expect("properties").keys().map(String::as_str);
    let body: serde_json::Map<_, _> = names.map(|name| (name.to_owned(), json!(true))).collect();
    let unknown: Vec<_> =
        problems(Value::Object(body)).into_iter().filter(|(_, code)| code == "unknown_field").collect();
    assert_eq!(unknown, []);
}
