//! Pages of other origins, and whoever has no token, get nothing and change nothing.

use meshline_daemon::api::{Server, Token};

use crate::support::{Member, mode, request};

const JSON: &str = "Content-Type: application/json\r\n";
const TEXT: &str = r#"{"text":"from afar"}"#;

async fn said(member: &Member) -> usize {
    member.get("/api/v1/chat").await.json()["messages"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_name_that_was_rebound_to_loopback_is_refused() {
    let member = Member::start().await;
    let port = member.server.address().unwrap().port();
    let evil = [
        format!("Host: evil.example:{port}\r\n"),
        format!("Host: 127.0.0.1.evil.example:{port}\r\n"),
        format!("Host: localhost.evil.example:{port}\r\n"),
        "Host: \r\n".to_owned(),
        String::new(),
        format!("Host: 127.0.0.1:{port}\r\nHost: evil.example\r\n"),
    ];
    for host in evil {
        for path in ["/api/v1/status", "/healthz", "/api/v1/chat", "/nothing"] {
            let mut client = member.connect().await;
            client.say(&request("GET", path, &format!("{host}{}", member.bearer()), "")).await;
            let answer = client.answer().await;
            assert_eq!(answer.refusal(403), "forbidden", "{host:?} {path}");
        }
    }
    let mut client = member.connect().await;
    let head = format!("GET http://evil.example/api/v1/status HTTP/1.1\r\nHost: {}\r\n\r\n", member.host());
    client.say(&head).await;
    client.answer().await.refusal(403);
}

#[tokio::test]
async fn the_own_names_are_taken() {
    let member = Member::start().await;
    let port = member.server.address().unwrap().port();
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "[::1]:7001".to_owned()] {
        let mut client = member.connect().await;
        client.say(&request("GET", "/healthz", &format!("Host: {host}\r\nOrigin: http://{host}\r\n"), "")).await;
        assert_eq!(client.answer().await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_even_with_the_token() {
    let member = Member::start().await;
    let other_port = "Origin: http://127.0.0.1:1\r\n";
    for origin in ["Origin: http://evil.example\r\n", "Origin: null\r\n", "Origin: https://127.0.0.1\r\n", other_port] {
        let headers = format!("{origin}{JSON}{}", member.bearer());
        for (method, path) in [("POST", "/api/v1/chat"), ("GET", "/api/v1/chat"), ("GET", "/healthz")] {
            let body = if method == "POST" { TEXT } else { "" };
            member.ask(method, path, &headers, body).await.refusal(403);
        }
    }
    assert_eq!(said(&member).await, 0);
}

#[tokio::test]
async fn what_a_browser_says_of_foreign_pages_is_believed() {
    let member = Member::start().await;
    for site in ["cross-site", "same-site", "nonsense"] {
        let headers = format!("Sec-Fetch-Site: {site}\r\n{JSON}{}", member.bearer());
        for path in ["/api/v1/status", "/api/v1/events", "/api/v1/nothing"] {
            member.ask("GET", path, &headers, "").await.refusal(403);
        }
        for path in ["/api/v1/chat", "/healthz", "/"] {
            member.ask("POST", path, &headers, TEXT).await.refusal(403);
        }
        let answer = member.ask("GET", "/healthz", &headers, "").await;
        assert_eq!(answer.status, 200, "a link to what is no API may be followed");
    }
    for site in ["same-origin", "none"] {
        let answer = member.ask("GET", "/api/v1/status", &format!("Sec-Fetch-Site: {site}\r\n"), "").await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(said(&member).await, 0);
}

#[tokio::test]
async fn without_the_token_nothing_is_read_that_members_wrote_and_nothing_changes() {
    let member = Member::start().await;
    let token = member.token.as_str();
    let wrong = [
        String::new(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Bearer {token}x\r\n"),
        format!("Authorization: Bearer {}\r\n", &token[1..]),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: {token}\r\n"),
        format!("Cookie: token={token}; api.token={token}\r\n"),
    ];
    for headers in &wrong {
        for path in ["/api/v1/chat", "/api/v1/events", "/api/v1/log", "/api/v1/log/events"] {
            for path in [path.to_owned(), format!("{path}?token={token}&access_token={token}")] {
                let answer = member.ask("GET", &path, headers, "").await;
                assert_eq!(answer.refusal(401), "token_required", "{headers:?} {path}");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            }
        }
        for path in ["/api/v1/chat", "/api/v1/records"] {
            member.ask("POST", path, &format!("{headers}{JSON}"), TEXT).await.refusal(401);
        }
    }
    assert_eq!(said(&member).await, 0);
}

#[tokio::test]
async fn no_preflight_is_granted_and_no_answer_may_be_read_elsewhere() {
    let member = Member::start().await;
    let preflight = "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n\
                     Access-Control-Request-Headers: authorization, content-type\r\n";
    for headers in [preflight.to_owned(), preflight.replace("evil.example", &member.host())] {
        let answer = member.ask("OPTIONS", "/api/v1/chat", &headers, "").await;
        assert!(matches!(answer.status, 403 | 405), "{answer:?}");
        assert!(!answer.head.contains("access-control-"), "{answer:?}");
    }
    for path in ["/api/v1/status", "/healthz", "/openapi.json", "/nothing"] {
        assert!(!member.get(path).await.head.contains("access-control-"), "{path}");
    }
}

#[tokio::test]
async fn a_form_of_another_page_cannot_post() {
    let member = Member::start().await;
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonx"]
    {
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let answer = member.ask("POST", "/api/v1/chat", &format!("{kind}{}", member.bearer()), TEXT).await;
        assert_eq!(answer.refusal(415), "not_json", "{kind:?}");
    }
    assert_eq!(said(&member).await, 0);
    let kind = "content-type: Application/JSON; charset=utf-8\r\n";
    let answer = member.ask("POST", "/api/v1/chat", &format!("{kind}{}", member.bearer()), TEXT).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn the_socket_and_the_token_are_the_owners_alone_and_the_socket_needs_no_token() {
    let member = Member::start().await;
    assert_eq!(mode(&Token::path(member.folder.path())), 0o600);
    assert_eq!(mode(&Server::socket_path(member.folder.path())), 0o600);
    let mut client = member.connect_unix().await;
    client.say(&request("POST", "/api/v1/chat", "Host: localhost\r\n", TEXT)).await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn a_token_file_is_kept_over_restarts_and_one_that_is_empty_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let first = Token::read_or_make(folder.path()).unwrap();
    assert!(first.as_str().len() >= 43, "32 random bytes");
    assert_eq!(Token::read_or_make(folder.path()).unwrap().as_str(), first.as_str());
    std::fs::write(Token::path(folder.path()), "\n").unwrap();
    assert_ne!(Token::read_or_make(folder.path()).unwrap().as_str(), first.as_str());
}
