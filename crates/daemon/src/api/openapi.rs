//! The description of this interface for programs, made from the table of operations and the types that are answered.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operations::{Answer, Operation, Parameter, all};
use super::problem::Problem;

/// Made at the first request for it.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

pub(super) async fn openapi() -> Response {
    let answer = ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response();
    std::future::ready(answer).await
}

/// The whole document.
pub(super) fn document() -> Value {
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
            // What is described most is what is answered, where every member is always there.
            settings.contract = schemars::generate::Contract::Serialize;
        })
        .into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in all() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.name().to_owned(), describe(operation, &mut schemas));
        }
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "meshline local API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "One member of a mesh, for the page, scripts and the commands of `node`. Every refusal is an \
                application/problem+json whose `code` names the reason. Over the Unix socket data_dir/api.sock no \
                token is needed: the rights of the file are the credential.",
            "license": { "name": "MIT OR Apache-2.0" }
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer",
                "description": "what stands in data_dir/api.token"
            } }
        }
    })
}

fn describe(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let parameters: Vec<Value> = operation.parameters.iter().map(|one| parameter(one, schemas)).collect();
    let mut description = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "security": if operation.token { json!([{ "token": [] }]) } else { json!([]) },
        "responses": responses(operation, schemas),
    });
    if let (Some(body), Some(object)) = (operation.body, description.as_object_mut()) {
        let content = json!({ "application/json": { "schema": body(schemas) } });
        let text = format!("At most {} bytes.", super::MAX_BODY);
        object.insert("requestBody".to_owned(), json!({ "required": true, "description": text, "content": content }));
    }
    description
}

fn parameter(parameter: &Parameter, schemas: &mut SchemaGenerator) -> Value {
    json!({
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": (parameter.shape)(schemas),
    })
}

fn responses(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let (answer, further): (Value, &[StatusCode]) = match &operation.answer {
        Answer::Json(shape, further) => (
            json!({ "description": "as asked for", "content": { "application/json": { "schema": shape(schemas) } } }),
            *further,
        ),
        Answer::Text(kind) => {
            (json!({ "description": "as asked for", "content": { *kind: { "schema": { "type": "string" } } } }), &[])
        }
        Answer::Events(shapes) => (events(shapes(schemas)), &[]),
        Answer::Bytes(protocol) => (json!({ "description": format!("bytes both ways, as {protocol}") }), &[]),
    };
    let mut responses = Map::new();
    let status = if matches!(operation.answer, Answer::Bytes(_)) { "101" } else { "200" };
    responses.insert(status.to_owned(), answer.clone());
    for refusal in refusals(operation) {
        responses.insert(refusal.as_str().to_owned(), problem(refusal, schemas));
    }
    for status in further {
        responses.insert(status.as_str().to_owned(), answer.clone());
    }
    Value::Object(responses)
}

/// The stream, and under `x-events` the form of the data of each event.
fn events(shapes: Vec<(&'static str, schemars::Schema)>) -> Value {
    let shapes: Map<String, Value> = shapes.into_iter().map(|(name, shape)| (name.to_owned(), shape.into())).collect();
    json!({
        "description": "server-sent events; the data of each is one JSON document, see x-events",
        "content": { "text/event-stream": { "schema": { "type": "string" }, "x-events": shapes } }
    })
}

/// Its own refusals, and those that can meet any request of its kind.
fn refusals(operation: &Operation) -> Vec<StatusCode> {
    let mut all = operation.refusals.to_vec();
    all.extend([StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE]);
    if operation.token {
        all.push(StatusCode::UNAUTHORIZED);
    }
    if operation.body.is_some() {
        all.extend([
            StatusCode::BAD_REQUEST,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ]);
    }
    all
}

fn problem(status: StatusCode, schemas: &mut SchemaGenerator) -> Value {
    json!({
        "description": format!("{}; `code` names the reason", status.canonical_reason().unwrap_or("refused")),
        "content": { "application/problem+json": { "schema": schemas.subschema_for::<Problem>() } }
    })
}
