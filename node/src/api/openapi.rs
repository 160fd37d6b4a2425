use axum::Json;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use utoipa::{
    OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

#[derive(OpenApi)]
#[openapi(
    info(title = "meshd", description = "A decentralized node for coordinating work. Problems are RFC 9457 with a stable `code`."),
    modifiers(&Bearer),
    security(("token" = [])),
)]
struct Base;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

pub(super) fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// This document: OpenAPI, made from the code that answers.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "node", responses((status = 200, description = "The document")))]
pub async fn document() -> Json<Value> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let (_, document) = super::documented().split_for_parts();
        let mut document = serde_json::to_value(&document).unwrap_or_default();
        complete(&mut document);
        document
    });
    Json(DOCUMENT.clone())
}

/// What holds for every route and stands at none: that problems have a type of their own, that each route may answer
/// with one, and that bytes are bytes.
fn complete(document: &mut Value) {
    let operations = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = operations.filter_map(Value::as_object_mut).flat_map(|route| route.values_mut());
    for operation in operations.filter(|operation| operation.is_object()) {
        let of_members = operation["tags"][0] == "mesh";
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            let schema = &mut parameter["schema"];
            // What may be left out is not therefore to be given as nothing.
            let given = schema["type"].as_array().and_then(|types| types.iter().find(|kind| **kind != "null")).cloned();
            if let Some(kind) = given {
                schema["type"] = kind;
            }
            match name.as_str() {
                "id" if of_members => schema["pattern"] = PEER.into(),
                "id" => schema["pattern"] = "^[0-9a-f]{8,64}$".into(),
                "worker" => schema["pattern"] = "^[0-9a-f]{32}$".into(),
                "task" => schema["pattern"] = "^[0-9a-f]{64}$".into(),
                "node" => schema["pattern"] = "^[1-9A-HJ-NP-Za-km-z]{8,52}$".into(),
                "job" => schema["pattern"] = "^[0-9a-f]{8,64}$".into(),
                "cursor" => schema["pattern"] = "^[0-9a-f]{64}$".into(),
                "stream" => schema["enum"] = ["stdout", "stderr"].as_slice().into(),
                "wait" | "ttl" => schema["pattern"] = "^[0-9]{1,6}(ms|s|m|h)?$".into(),
                "state" => schema["enum"] = super::tasks::list::STATES.as_slice().into(),
                "limit" => schema["maximum"] = u32::MAX.into(),
                _ => {}
            }
        }
        for response in operation["responses"].as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
            if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) {
                let is_problem = |content: &Value| content["schema"]["$ref"] == PROBLEM;
                if content.get("application/json").is_some_and(is_problem)
                    && let Some(problem) = content.remove("application/json")
                {
                    content.insert("application/problem+json".to_owned(), problem);
                }
                bytes(content);
            }
        }
        operation["responses"]["default"] = json!({
            "description": "Why it was not done: no token, another `Host`, not what this route takes, not for now",
            "content": { "application/problem+json": { "schema": { "$ref": PROBLEM } } },
        });
        if let Some(content) = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut)
            && content.contains_key(BYTES)
        {
            bytes(content);
            // No bytes are bytes as well.
            operation["requestBody"]["required"] = false.into();
        }
    }
}

/// A peer id of an ed25519 key.
const PEER: &str = "^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$";
const PROBLEM: &str = "#/components/schemas/Problem";
const BYTES: &str = "application/octet-stream";

fn bytes(content: &mut Map<String, Value>) {
    if let Some(bytes) = content.get_mut(BYTES) {
        *bytes = json!({ "schema": { "type": "string", "format": "binary" } });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_document_says_where_parameters_are_and_how_problems_look() {
        let Json(document) = document().await;
        let mut seen = 0;
        for (path, route) in document["paths"].as_object().unwrap() {
            for (method, operation) in route.as_object().unwrap() {
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let name = parameter["name"].as_str().unwrap();
                    let place = match path.contains(&format!("{{{name}}}")) {
                        true => "path",
                        false if name.starts_with(char::is_uppercase) => "header",
                        false => "query",
                    };
                    assert_eq!(parameter["in"], place, "{method} {path} {name}");
                    let required = place == "path" || name == "fence";
                    assert_eq!(parameter["required"], required, "{method} {path} {name}");
                    let schema = &parameter["schema"];
                    assert!(schema["type"].is_string(), "{method} {path} {name} may not be given as nothing: {schema}");
                    seen += 1;
                }
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let is_good = status.starts_with('2');
                    let problem = response["content"].get("application/problem+json");
                    assert_eq!(problem.is_some(), !is_good, "{method} {path} {status}: {response}");
                }
                assert!(operation["responses"].get("default").is_some(), "{method} {path}");
            }
        }
        assert!(seen > 20, "{seen}");
    }
}
