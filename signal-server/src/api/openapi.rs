//! The description of this interface for programs, made from the types that are read and written.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use meshline_protocol::SignedRecord;
use meshline_protocol::message::{Announcement, Departure, Membership, Revocation};
use meshline_protocol::signal::{AnnounceRequest, MAX_REQUEST, MAX_ROWS, NodeList};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::ProblemDocument;
use crate::settings::DEFAULT_ROWS;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// `GET /openapi.json`.
pub(crate) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

fn document() -> Value {
    let mut schemas = SchemaSettings::draft2020_12().with(place_in_components).into_generator();
    let paths = paths(&mut schemas);
    // What is signed are strings in the records above; their form is listed beside them.
    schemas.subschema_for::<Announcement>();
    schemas.subschema_for::<Departure>();
    schemas.subschema_for::<Membership>();
    schemas.subschema_for::<Revocation>();
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "meshline signal server",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A passive list of the members of a mesh. Asking is being listed.",
            "license": { "name": "MIT OR Apache-2.0" }
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "refresh": {
                "type": "http", "scheme": "bearer",
                "description": "the refresh secret of a live entry in the closed network that is asked for"
            } }
        }
    })
}

fn place_in_components(settings: &mut SchemaSettings) {
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
}

fn paths(schemas: &mut SchemaGenerator) -> Value {
    json!({
        "/v1/nodes": { "get": list(schemas), "post": announce(schemas) },
        "/v1/nodes/{id}": { "delete": depart(schemas) },
        "/v1/revocations": { "post": revoke(schemas) },
        "/healthz": { "get": plain("health", "Whether the process answers.", "application/json") },
        "/readyz": { "get": readiness(schemas) },
        "/metrics": { "get": plain("metrics", "Counters in the text form of Prometheus.", "text/plain") },
        "/openapi.json": { "get": plain("openapi", "This document.", "application/json") },
        "/": { "get": plain("page", "The list of open networks for people.", "text/html") }
    })
}

fn announce(schemas: &mut SchemaGenerator) -> Value {
    json!({
        "operationId": "announce",
        "summary": "Be listed, or prolong the entry by its refresh secret, and read who else is.",
        "parameters": [limit()],
        "requestBody": body(&schemas.subschema_for::<AnnounceRequest>()),
        "responses": responses(schemas, "200", &["400", "403", "404", "408", "409", "413", "429", "503"])
    })
}

fn list(schemas: &mut SchemaGenerator) -> Value {
    let mut responses = responses(schemas, "200", &["400", "403"]);
    let tag = json!({ "ETag": { "description": "names the list; weak, for `observed` is not in it",
                                "schema": { "type": "string" } } });
    if let Some(responses) = responses.as_object_mut() {
        responses.insert("304".to_owned(), json!({ "description": "the list has not changed", "headers": tag }));
        if let Some(found) = responses.get_mut("200").and_then(Value::as_object_mut) {
            found.insert("headers".to_owned(), tag);
        }
    }
    json!({
        "operationId": "list",
        "summary": "Read who is listed. Closed networks answer their members only.",
        "parameters": [
            { "name": "network", "in": "query", "required": true,
              "schema": schemas.subschema_for::<meshline_protocol::NetworkId>() },
            limit(),
            { "name": "If-None-Match", "in": "header", "required": false,
              "description": "The ETag of the list that the caller has. In a network of more members than are listed each choice is another list.",
              "schema": { "type": "string" } }
        ],
        "security": [{}, { "refresh": [] }],
        "responses": responses
    })
}

fn depart(schemas: &mut SchemaGenerator) -> Value {
    json!({
        "operationId": "depart",
        "summary": "Leave. The body is a signed record of type `departure` with a `seq` above the announcement's.",
        "parameters": [{ "name": "id", "in": "path", "required": true,
                         "schema": schemas.subschema_for::<meshline_protocol::NodeId>() }],
        "requestBody": body(&schemas.subschema_for::<SignedRecord>()),
        "responses": responses(schemas, "204", &["400", "403", "404", "408", "409", "413"])
    })
}

fn revoke(schemas: &mut SchemaGenerator) -> Value {
    json!({
        "operationId": "revoke",
        "summary": "End a membership. The body is a signed record of type `revocation` by the key of the network.",
        "requestBody": body(&schemas.subschema_for::<SignedRecord>()),
        "responses": responses(schemas, "204", &["400", "403", "408", "413", "503"])
    })
}

fn readiness(schemas: &mut SchemaGenerator) -> Value {
    let mut ready = plain("readiness", "Whether it takes requests; not while it stops.", "application/json");
    if let Some(responses) = ready.get_mut("responses").and_then(Value::as_object_mut) {
        responses.insert("503".to_owned(), problem(schemas));
    }
    ready
}

fn plain(id: &str, summary: &str, media_type: &str) -> Value {
    json!({
        "operationId": id,
        "summary": summary,
        "responses": { "200": { "description": "as asked for", "content": { media_type: {} } } }
    })
}

fn limit() -> Value {
    json!({
        "name": "limit", "in": "query", "required": false,
        "description": "Most rows wanted; if there are more members, a random choice of them. More than the maximum is the maximum.",
        "schema": { "type": "integer", "minimum": 0, "maximum": MAX_ROWS, "default": DEFAULT_ROWS }
    })
}

fn body(schema: &schemars::Schema) -> Value {
    json!({
        "required": true,
        "description": format!("At most {MAX_REQUEST} bytes."),
        "content": { "application/json": { "schema": schema } }
    })
}

fn responses(schemas: &mut SchemaGenerator, success: &str, refusals: &[&str]) -> Value {
    let mut responses = serde_json::Map::new();
    let answer = match success {
        "204" => json!({ "description": "done" }),
        _ => json!({
            "description": "who is listed",
            "content": { "application/json": { "schema": schemas.subschema_for::<NodeList>() } }
        }),
    };
    responses.insert(success.to_owned(), answer);
    responses.extend(refusals.iter().map(|status| ((*status).to_owned(), problem(schemas))));
    Value::Object(responses)
}

fn problem(schemas: &mut SchemaGenerator) -> Value {
    json!({
        "description": "refused; `code` names the reason",
        "content": { "application/problem+json": { "schema": schemas.subschema_for::<ProblemDocument>() } }
    })
}
