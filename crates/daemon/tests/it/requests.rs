//! Requests good and bad: every refusal is a problem, and HTTP is spoken as clients expect it.

use crate::support::{Member, request};

#[tokio::test]
async fn every_refusal_is_a_problem_with_its_code() {
    let member = Member::start().await;
    for (path, status, code) in [
        ("/nothing", 404, "not_found"),
        ("/api/v1/", 404, "not_found"),
        ("/api/v1/ch%61t", 404, "not_found"),
        ("/api/v1/explain/nobody", 404, "no_such_peer"),
        ("/api/v1/explain/%FF", 400, "invalid_message"),
        ("/api/v1/chat?limit=many", 400, "invalid_message"),
        ("/api/v1/chat?limit=-1", 400, "invalid_message"),
        ("/api/v1/chat?after=0&limit=0", 400, "invalid_message"),
        ("/api/v1/chat?limit=10001", 400, "invalid_message"),
        ("/api/v1/log?limit=0", 400, "invalid_message"),
        ("/api/v1/log?limit=2001", 400, "invalid_message"),
        ("/api/v1/chat?after=x", 400, "invalid_message"),
        ("/api/v1/chat?after=1&before=2", 400, "invalid_message"),
        ("/api/v1/chat?after=1&after=2", 400, "invalid_message"),
        ("/api/v1/log?level=loud", 400, "invalid_message"),
        ("/api/v1/log/events?level=loud", 400, "invalid_message"),
    ] {
        assert_eq!(member.get(path).await.refusal(status), code, "{path}");
    }
    for body in ["", "{", "[]", r#"{"text":1}"#, r#"{"text":"a","more":1}"#, r#"{"text":""}"#, "\u{feff}{}"] {
        assert_eq!(member.post("/api/v1/chat", body).await.refusal(400), "invalid_message", "{body:?}");
    }
    assert_eq!(member.post("/api/v1/records", "{}").await.refusal(400), "invalid_message");
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let member = Member::start().await;
    for (method, path, allowed) in [
        ("POST", "/api/v1/status", "GET,HEAD"),
        ("DELETE", "/api/v1/chat", "GET,HEAD,POST"),
        ("PUT", "/api/v1/records", "POST"),
        ("GET", "/api/v1/records", "POST"),
        ("BREW", "/healthz", "GET,HEAD"),
    ] {
        let answer = member.ask(method, path, &member.bearer(), "").await;
        assert_eq!(answer.refusal(405), "wrong_method", "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn pages_of_the_chat_are_asked_for_by_cursor() {
    let member = Member::start().await;
    let page = async |query: &str| {
        let document = member.get(&format!("/api/v1/chat{query}")).await.json();
        let rows = document["messages"].as_array().unwrap().clone();
        let texts: Vec<String> = rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect();
        (texts.join(""), document["more"] == true, document["cursor"].as_str().unwrap().to_owned())
    };
    assert_eq!(page("").await, (String::new(), false, "0".to_owned()));
    for text in ["a", "b", "c", "d", "e"] {
        let row = member.post("/api/v1/chat", &format!(r#"{{"text":"{text}"}}"#)).await.json();
        assert_eq!((&row["schema"], &row["own"]), (&"meshline/message/1".into(), &true.into()));
        assert_eq!((&row["state"], &row["path"]), (&"queued".into(), &serde_json::json!([])));
    }
    assert_eq!(page("?after=").await, ("abcde".to_owned(), false, "5".to_owned()));
    assert_eq!(page("?after=1&limit=2").await, ("bc".to_owned(), true, "3".to_owned()));
    assert_eq!(page("?after=3").await.0, "de");
    assert_eq!(page("?after=0&limit=1").await, ("a".to_owned(), true, "1".to_owned()));
    assert_eq!(page("?limit=10000").await.0, "abcde");
    assert_eq!(page("?limit=2").await.0, "de");
    let (before, more, _) = page("?before=4&limit=2").await;
    assert_eq!((before.as_str(), more), ("bc", true));
    assert_eq!(page("?before=99").await.0, "", "a cursor that was pruned");
    let status = member.get("/api/v1/status").await.json();
    assert_eq!((&status["chat"]["messages"], &status["chat"]["cursor"]), (&5.into(), &"5".into()));
}

#[tokio::test]
async fn a_head_is_answered_as_a_get_without_its_body() {
    let member = Member::start().await;
    for path in ["/healthz", "/api/v1/peers", "/openapi.json", "/nothing"] {
        let (head, get) = (member.ask("HEAD", path, "", "").await, member.get(path).await);
        assert_eq!((head.status, head.header("content-length")), (get.status, get.header("content-length")), "{path}");
    }
    let mut client = member.connect().await;
    let asked = request("HEAD", "/api/v1/events", &format!("Host: {}\r\n{}", member.host(), member.bearer()), "");
    for _ in 0..200 {
        client.say(&asked).await;
        assert_eq!(client.answer_to("HEAD").await.status, 200, "each gives back its place among the readers");
    }
}

#[tokio::test]
async fn requests_that_come_all_at_once_are_answered_in_their_order() {
    let member = Member::start().await;
    let host = format!("Host: {}\r\n", member.host());
    let mut client = member.connect().await;
    let json = format!("{host}{}Content-Type: application/json\r\n", member.bearer());
    let all = [
        request("GET", "/healthz", &host, ""),
        request("POST", "/api/v1/chat", &json, r#"{"text":"one"}"#),
        request("GET", "/nothing", &host, ""),
        request("POST", "/api/v1/chat", &json, "{"),
        request("GET", "/api/v1/status", &host, ""),
    ];
    client.say(&all.concat()).await;
    let mut statuses = Vec::new();
    for _ in &all {
        statuses.push(client.answer().await.status);
    }
    assert_eq!(statuses, [200, 200, 404, 400, 200]);
}

#[tokio::test]
async fn a_body_is_sent_when_it_is_asked_for() {
    let member = Member::start().await;
    let host = format!("Host: {}\r\nExpect: 100-continue\r\nContent-Length: 14\r\n", member.host());
    let mut client = member.connect().await;
    let head = format!("{host}{}Content-Type: application/json\r\n", member.bearer());
    client.say(&request("POST", "/api/v1/chat", &head, "")).await;
    assert!(client.head().await.starts_with("HTTP/1.1 100 "));
    client.say(r#"{"text":"body"}"#.get(..14).unwrap()).await;
    client.answer().await.refusal(400);

    let mut client = member.connect().await;
    client.say(&request("POST", "/api/v1/chat", &host, "")).await;
    assert_eq!(client.answer().await.refusal(401), "token_required", "no body is asked for that will not be read");
}

#[tokio::test]
async fn readiness_is_told_with_its_reason() {
    let member = Member::start().await;
    let answer = member.get("/readyz").await;
    let document = answer.json();
    assert_eq!(document["schema"], "meshline/ready/1");
    assert_eq!(document["ready"] == true, answer.status == 200);
    assert!(document["reason"].is_string());
}

#[tokio::test]
async fn those_who_ask_for_the_status_at_once_are_all_answered() {
    let member = Member::start().await;
    let asking = (0..50).map(|_| member.get("/api/v1/status"));
    let mut set = Vec::new();
    for one in asking {
        set.push(one.await.json());
    }
    let uptimes: Vec<u64> = set.iter().map(|status| status["uptime_ms"].as_u64().unwrap()).collect();
    assert!(uptimes.is_sorted(), "no answer is older than one before it: {uptimes:?}");
}

#[tokio::test]
async fn the_figures_tell_how_much_of_the_chat_is_kept() {
    let member = Member::start().await;
    member.write("hello").await;
    let chat = member.get("/api/v1/status").await.json()["chat"].take();
    assert_eq!((&chat["messages"], &chat["durable"]), (&1.into(), &true.into()));
    let metrics = String::from_utf8(member.get("/metrics").await.body).unwrap();
    for line in ["chat_messages 1".to_owned(), format!("chat_bytes {}", chat["bytes"]), "chat_durable 1".to_owned()] {
        assert!(metrics.lines().any(|found| found == format!("meshline_{line}")), "{line}: {metrics}");
    }
}
