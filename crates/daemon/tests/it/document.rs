//! `/openapi.json` against what is really answered.

use serde_json::Value;

use crate::schema::assert_valid;
use crate::support::Member;

/// Every operation with a path that can be asked for.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let path = path.clone();
        let item = item.as_object().unwrap().clone();
        item.into_iter().map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
    };
    paths.iter().flat_map(of_path).collect()
}

#[tokio::test]
async fn every_operation_of_the_document_is_answered_and_every_json_answer_is_as_described() {
    let member = Member::start().await;
    member.write("a message").await;
    let document = member.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.1");
    let mut checked = Vec::new();
    for (method, path, operation) in operations(&document) {
        let content = &operation["responses"]["200"]["content"];
        if content.get("text/event-stream").is_some() {
            assert!(content["text/event-stream"]["x-events"].get("lagged").is_some(), "{path}");
            continue;
        }
        let body = match (method.as_str(), path.as_str()) {
            ("POST", "/api/v1/chat") => r#"{"text":"hello"}"#,
            ("POST", _) => "{}",
            _ => "",
        };
        let asked = path.replace("{peer}", "nobody").replace("{id}", "7");
        let asked = if path == "/api/v1/connect" { format!("{asked}?peer=nobody") } else { asked };
        let answer = match method.as_str() {
            "POST" => member.post(&asked, body).await,
            "DELETE" => member.ask("DELETE", &asked, &member.bearer(), "").await,
            _ => member.get(&asked).await,
        };
        let described = &operation["responses"][answer.status.to_string()]["content"];
        let kind = answer.header("content-type").unwrap();
        let schema = described.get(kind.split(';').next().unwrap());
        let schema =
            &schema.unwrap_or_else(|| panic!("{method} {path}: {} {kind} is not described", answer.status))["schema"];
        if kind.ends_with("json") && path != "/openapi.json" {
            let value = answer.json();
            assert_valid(&document, schema, &value);
            let is_named = value["schema"].as_str().is_some_and(|name| name.starts_with("meshline/"));
            assert!(is_named || kind.starts_with("application/problem"), "{path}: {value}");
            checked.push(path);
        }
    }
    assert!(checked.len() >= 9, "{checked:?}");
}

#[tokio::test]
async fn what_the_document_says_of_the_token_is_so() {
    let member = Member::start().await;
    let document = member.get("/openapi.json").await.json();
    for (method, path, operation) in operations(&document) {
        let needs = operation["security"] == serde_json::json!([{"token": []}]);
        let answer = member.ask(&method, &path.replace("{peer}", "nobody"), "", "").await;
        assert_eq!(answer.status == 401, needs, "{method} {path}: {answer:?}");
        assert!(needs || method == "GET", "{path}: whatever changes something needs the token");
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
    let member = Member::start().await;
    let document = member.get("/openapi.json").await.json();
    let text = document.to_string();
    let references: Vec<&str> = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(!references.is_empty());
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let mut names: Vec<String> = operations(&document).iter().map(|(.., one)| one["operationId"].to_string()).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
