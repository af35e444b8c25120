//! The document of the API, made from the code.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::Components;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, InfoBuilder, License, OpenApi, PathItem, Ref, RefOr, Response, SecurityRequirement};

use crate::problem::Schemas;
use crate::{App, admin, router};

/// What every documented problem refers to.
const PROBLEM: &str = "#/components/schemas/Problem";
const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// The document, OpenAPI 3.1.
pub fn openapi() -> OpenApi {
    let mut api = Schemas::openapi();
    for part in [router::bounded().into_openapi(), router::unbounded().into_openapi(), ModelPath::openapi()] {
        api.merge(part);
    }
    api.info = info();
    let components = api.components.get_or_insert_with(Components::new);
    components.add_security_scheme("bearer", bearer());
    for (_, name, description) in PROBLEMS {
        components.responses.insert(name.to_owned(), problem_response(description).into());
    }
    api.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    for (path, item) in &mut api.paths.paths {
        let is_health = !path.starts_with("/v1/");
        operations(item).for_each(|operation| document_problems(operation, is_health));
    }
    api
}

/// The document as text: the same for the same code.
pub fn openapi_json() -> String {
    let mut text = serde_json::to_string_pretty(&openapi()).expect("the document has string keys only");
    text.push('\n');
    text
}

/// Serves the document.
pub(crate) async fn document(State(_): State<App>) -> HttpResponse {
    static TEXT: std::sync::LazyLock<String> = std::sync::LazyLock::new(openapi_json);
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], TEXT.as_str()).into_response()
}

/// Routed by hand, because its last parameter may hold slashes.
#[derive(utoipa::OpenApi)]
#[openapi(paths(admin::models::put, admin::models::get, admin::models::delete))]
struct ModelPath;

fn info() -> utoipa::openapi::Info {
    let mut license = License::new("MIT OR Apache-2.0");
    license.identifier = Some("MIT OR Apache-2.0".to_owned());
    InfoBuilder::new()
        .title("Gristmill")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Runs a prompt over every row of a table in object storage and returns the table with the answers as new columns. \
            Every error is a problem document (RFC 9457) with a stable `code`.",
        ))
        .license(Some(license))
        .build()
}

fn bearer() -> SecurityScheme {
    let mut http = Http::new(HttpAuthScheme::Bearer);
    http.description = Some("An API key: `gm_…`".to_owned());
    SecurityScheme::Http(http)
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// Problems that a call can have because of its shape, by status. Those of its own are told at the handler.
const PROBLEMS: [(&str, &str, &str); 10] = [
    ("400", "Unreadable", "The request can't be read"),
    ("401", "Unauthorized", "The key is missing, wrong, revoked or expired"),
    ("403", "Forbidden", "The key or the tenant may not do this"),
    ("404", "NotFound", "There is nothing here that the key may see"),
    ("408", "BodyTooSlow", "The body took too long to arrive"),
    ("413", "BodyTooLarge", "The body is too long"),
    ("415", "BodyNotJson", "The body is not JSON in UTF-8"),
    ("422", "Invalid", "A value is wrong: see errors"),
    ("500", "Failed", "The service failed"),
    ("503", "Unavailable", "Try again later: see Retry-After"),
];

fn problem_content() -> RefOr<Content> {
    Content::new(Some(RefOr::Ref(Ref::new(PROBLEM)))).into()
}

fn problem_response(description: &str) -> Response {
    let mut response = Response::new(description);
    response.content.insert(PROBLEM_MEDIA_TYPE.to_owned(), problem_content());
    response
}

fn document_problems(operation: &mut Operation, is_health: bool) {
    let has_body = operation.request_body.is_some();
    let responses = &mut operation.responses.responses;
    for response in responses.iter_mut().filter(|(status, _)| status.starts_with('4')).map(|(_, response)| response) {
        if let RefOr::T(response) = response {
            response.content.insert(PROBLEM_MEDIA_TYPE.to_owned(), problem_content());
        }
    }
    for (status, name, _) in PROBLEMS {
        let applies = match status {
            "500" | "503" => true,
            "408" | "413" | "415" => has_body,
            _ => !is_health,
        };
        if applies {
            let reference = Ref::new(format!("#/components/responses/{name}"));
            responses.entry(status.to_owned()).or_insert(RefOr::Ref(reference));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_response_and_operation_is_described() {
        let document = serde_json::to_value(openapi()).expect("JSON");
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["license"]["identifier"], "MIT OR Apache-2.0");
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{method} {path}");
                for (status, response) in operation["responses"].as_object().expect("responses") {
                    let named = response["$ref"].as_str().and_then(|reference| document.pointer(&reference[1..]));
                    let response = named.unwrap_or(response);
                    assert!(
                        response["description"].as_str().is_some_and(|text| !text.is_empty()),
                        "{method} {path} {status}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = openapi_json();
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for reference in text.split("\"$ref\": \"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
