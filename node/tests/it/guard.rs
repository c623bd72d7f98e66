//! Who else is on this machine and in this browser: other sites, other users, other pages.

use serde_json::{Value, json};

use crate::support::browser::{Browser, UNREACHABLE};
use crate::support::http::Request;
use crate::support::node::{Node, mesh, single};
use crate::support::page::Page;
use crate::support::stranger::Stranger;
use crate::support::wait::until;

/// What needs the token, and how it is asked for.
const GUARDED: &[(&str, &str)] = &[
    ("GET", "/api/v1/chat"),
    ("GET", "/api/v1/chat?after=0"),
    ("HEAD", "/api/v1/chat"),
    ("POST", "/api/v1/chat"),
    ("GET", "/api/v1/events"),
    ("GET", "/api/v1/log"),
    ("GET", "/api/v1/log/events"),
    ("POST", "/api/v1/records"),
    ("GET", "/api/v1/ledger/blocks"),
    ("GET", "/api/v1/ledger/find/0"),
    ("POST", "/api/v1/ledger/mine"),
    ("POST", "/api/v1/wallet/quote"),
    ("POST", "/api/v1/wallet/send"),
];

fn running(name: &str) -> Node {
    let mut node = single(name);
    node.start();
    node
}

#[track_caller]
fn status(node: &Node, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = Request::post(node.http, path, String::new());
    request.method = method;
    if method == "POST" {
        request.body = json!({"text": "from somebody else"}).to_string();
    }
    for (name, value) in headers {
        request = request.with(name, value);
    }
    request.send().expect("it answers").status
}

#[test]
fn without_the_token_there_is_no_chat_whatever_else_is_sent() {
    let node = running("bobby");
    let token = node.token();
    let bearer = format!("Bearer {token}");
    let wrong = format!("Bearer {}", "A".repeat(token.len()));
    let cookie = format!("token={token}; api.token={token}; Authorization=Bearer {token}");
    let forms: &[&[(&str, &str)]] = &[
        &[],
        &[("authorization", "Bearer ")],
        &[("authorization", &wrong)],
        &[("authorization", &token)],
        &[("authorization", &format!("Basic {token}"))],
        &[("cookie", &cookie)],
        &[("x-forwarded-for", "127.0.0.1")],
    ];
    for (method, path) in GUARDED {
        for headers in forms {
            assert_eq!(status(&node, method, path, headers), 401, "{method} {path} {headers:?}");
        }
        let asked = format!("{path}{}token={token}&access_token={token}", if path.contains('?') { '&' } else { '?' });
        assert_eq!(status(&node, method, &asked, &[]), 401, "{method} {asked}");
    }
    assert_eq!(node.texts(), Vec::<String>::new());
    assert_eq!(status(&node, "GET", "/api/v1/chat", &[("authorization", &bearer)]), 200);
    for open in ["/", "/api/v1/status", "/api/v1/peers", "/healthz", "/readyz", "/metrics", "/openapi.json"] {
        let answer = Request::get(node.http, open).send().expect("it answers");
        // Who is alone is ready only after a while.
        let ready = answer.status == 200 || (open == "/readyz" && answer.status == 503);
        assert!(ready, "{open}: {answer:?}");
        assert!(!answer.body.contains(&token), "{open} gives the token away");
    }
}

#[test]
fn a_name_that_leads_to_loopback_is_no_way_in() {
    let node = running("bobby");
    let bearer = format!("Bearer {}", node.token());
    let port = node.http;
    let hosts = [format!("evil.example:{port}"), "evil.example".to_owned(), "127.0.0.1.evil.example".to_owned()];
    for host in &hosts {
        for path in ["/", "/api/v1/status", "/api/v1/peers", "/api/v1/chat", "/api/v1/events", "/metrics"] {
            let headers = [("host", host.as_str()), ("authorization", &bearer)];
            assert_eq!(status(&node, "GET", path, &headers), 403, "{host} {path}");
        }
        let headers = [("host", host.as_str()), ("authorization", &bearer)];
        assert_eq!(status(&node, "POST", "/api/v1/chat", &headers), 403, "{host}");
    }
    let other = format!("http://127.0.0.1:{}", port - 1);
    for origin in ["http://evil.example", "null", &other, &format!("https://127.0.0.1:{port}"), ""] {
        let headers = [("origin", origin), ("authorization", &bearer)];
        assert_eq!(status(&node, "POST", "/api/v1/chat", &headers), 403, "{origin:?}");
    }
    assert_eq!(node.texts(), Vec::<String>::new());

    let flags = ["--host-resolver-rules=MAP evil.example 127.0.0.1".to_owned()];
    let Some(browser) = Browser::start_with(&flags) else { return };
    browser.expect_complaints("status of 403");
    let page = browser.open(&format!("http://evil.example:{port}/#{}", node.token()));
    assert_eq!(page.value("location.host"), format!("evil.example:{port}"), "the name leads here");
    assert_eq!(page.value("document.querySelector('#state, #draft, script')"), Value::Null);
    let asked = page.value("fetch('/api/v1/status').then(answer => answer.status)");
    assert_eq!(asked, 403);
}

/// A page that tries everything a foreign page can. `NODE` and `TOKEN` are put in; it even knows the token.
const EVIL: &str = r#"<!doctype html><meta charset=utf-8><title>evil</title><h1>Win a prize</h1>
<iframe name=sink></iframe><iframe id=framed src="NODE/"></iframe>
<form id=form method=post action="NODE/api/v1/chat" target=sink enctype="text/plain">
<input name='{"text":"by form","x":"' value='"}'></form>
<script>
const results = window.results = {};
const api = 'NODE/api/v1/';
const body = JSON.stringify({text: 'by fetch'});
const token = {authorization: 'Bearer TOKEN'};
const tries = {
    status: [api + 'status', {}],
    chat: [api + 'chat', {}],
    chat_with_cookies: [api + 'chat', {credentials: 'include'}],
    chat_with_token: [api + 'chat', {headers: token}],
    events_with_token: [api + 'events', {headers: token}],
    post_as_text: [api + 'chat', {method: 'POST', body, mode: 'no-cors'}],
    post_with_cookies: [api + 'chat', {method: 'POST', body, mode: 'no-cors', credentials: 'include'}],
    post_as_json: [api + 'chat', {method: 'POST', body, headers: {'content-type': 'application/json'}}],
    post_with_token: [api + 'chat', {method: 'POST', body, headers: {...token, 'content-type': 'application/json'}}],
};
for (const [name, [url, options]] of Object.entries(tries)) {
    fetch(url, {cache: 'no-store', ...options})
        .then(async answer => results[name] = answer.type === 'opaque' ? 'opaque' : 'read: ' + await answer.text())
        .catch(() => results[name] = 'refused');
}
const events = new EventSource(api + 'events', {withCredentials: true});
events.onopen = () => results.events = 'open';
events.onerror = () => { results.events ??= 'refused'; events.close(); };
const script = document.createElement('script');
script.src = api + 'chat';
script.onload = () => results.script = 'ran';
script.onerror = () => results.script = 'refused';
document.head.append(script);
navigator.sendBeacon(api + 'chat', body);
document.querySelector('iframe[name=sink]').addEventListener('load', () => results.form = 'sent', {once: false});
document.querySelector('#form').submit();
</script>"#;

#[test]
fn other_sites_in_the_same_browser_can_neither_read_nor_write() {
    let Some(browser) = Browser::start() else { return };
    let nodes = mesh(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    page.say("a secret");
    let document = EVIL.replace("NODE", &nodes[0].origin()).replace("TOKEN", &nodes[0].token());
    let stranger = Stranger::serve(document);
    browser.expect_complaints(&format!(":{}", stranger.port));
    browser.expect_complaints(&nodes[0].origin());
    // Another origin of the same site, and another site: cookies and caches are handed out differently.
    for host in ["127.0.0.1", "localhost"] {
        let evil = browser.open(&format!("http://{host}:{}/", stranger.port));
        let results = until("all was tried", || {
            let results = evil.value("window.results");
            if results.as_object().is_some_and(|results| results.len() == 12) {
                Ok(results)
            } else {
                Err(results.to_string())
            }
        });
        for (name, result) in results.as_object().expect("results") {
            let harmless = match name.as_str() {
                "post_as_text" | "post_with_cookies" => result == "opaque" || result == "refused",
                "form" => true,
                _ => result == "refused",
            };
            assert!(harmless, "{host}: {name}: {result}");
        }
        evil.enter_frame(Some(1));
        let framed = evil.value("[location.href, document.querySelector('#state, #draft') !== null]");
        assert_eq!(framed[1], false, "{host}: the page is in a frame of another site: {framed}");
        evil.enter_frame(None);
        evil.picture(&format!("stranger-{host}"));
    }
    page.say("still alone");
    assert_eq!(nodes[0].texts(), ["a secret", "still alone"]);
    assert_eq!(page.texts(), ["a secret", "still alone"]);
}

#[test]
fn the_token_of_another_page_is_not_seen_and_a_wrong_one_can_be_mended() {
    let Some(browser) = Browser::start() else { return };
    browser.expect_complaints("status of 401");
    let nodes = mesh(&["bobby", "donald"]);
    let bobby = Page::open(&browser, &nodes[0]);
    assert!(!bobby.url().contains(&nodes[0].token()), "the token does not stay where it is seen: {}", bobby.url());
    let kept = "return [Object.values(sessionStorage).join(), Object.values(localStorage).join(), document.cookie]";
    let stores = bobby.run(kept, &[]);
    assert!(stores[0].as_str().is_some_and(|text| text.contains(&nodes[0].token())), "kept for this tab");
    assert!(!stores[1].to_string().contains(&nodes[0].token()), "not kept for ever");
    assert_eq!(stores[2], "", "there are no cookies");
    bobby.reload();
    bobby.wait_for_state(&["connected"]);

    // In the tab of the first page: the storage of another port is another one.
    bobby.go(&format!("{}/", nodes[1].origin()));
    bobby.wait_for_state(&["unauthorized"]);
    bobby.wait_for_count("#token-form", 1);
    bobby.picture("unauthorized");
    let stores = bobby.run(kept, &[]);
    assert!(!stores.to_string().contains(&nodes[0].token()), "{stores}");

    for wrong in [nodes[0].token(), "nonsense".to_owned(), "<b>ä</b>".to_owned()] {
        bobby.paste("#token", &wrong);
        bobby.click("#token-form [type=submit], #token-form button");
        bobby.wait_for_state(&["unauthorized"]);
        bobby.wait_for_count("#token-form", 1);
    }
    bobby.paste("#token", "");
    bobby.type_in("#token", &format!(" {} \u{E007}", nodes[1].token()));
    bobby.wait_for_state(&["connected"]);
    bobby.wait_for_count("#token-form", 0);
    bobby.say("now I am donald");
    nodes[0].wait_for_text("now I am donald");

    // A wrong one in the address shows the form too.
    let other = Page::open_at(&browser, &format!("{}/#{}", nodes[0].origin(), nodes[1].token()));
    other.wait_for_state(&["unauthorized"]);
    other.paste("#token", &nodes[0].token());
    other.type_in("#token", "\u{E007}");
    other.wait_for_state(&["connected"]);
    other.wait_for_text("now I am donald");
}

#[test]
fn the_page_is_held_by_a_strict_policy_and_cached_by_its_tag() {
    let node = running("bobby");
    let page = Request::get(node.http, "/").send().expect("it answers");
    let policy = page.header("content-security-policy");
    for wanted in
        ["default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'", "connect-src 'self'"]
    {
        assert!(policy.contains(wanted), "no {wanted} in {policy:?}");
    }
    for loose in ["unsafe-inline", "unsafe-eval", "data:", "http:", "*"] {
        assert!(!policy.contains(loose), "{loose} in {policy:?}");
    }
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("access-control-allow-origin"), "");
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    assert_eq!(page.header("cache-control"), "no-cache");
    let tag = page.header("etag");
    let again = Request::get(node.http, "/").with("if-none-match", tag).send().expect("it answers");
    assert_eq!((again.status, again.body.as_str()), (304, ""), "{tag:?}");

    let named = |start: &'static str| page.body.split(start).skip(1).filter_map(|rest| rest.split('"').next());
    let files: Vec<&str> = named("src=\"").chain(named("href=\"")).filter(|path| path.starts_with("/web/")).collect();
    assert!(files.len() >= 2, "{files:?}");
    for path in files {
        let file = Request::get(node.http, path).send().expect("it answers");
        assert_eq!(file.status, 200, "{path}");
        assert!(file.header("cache-control").contains("immutable"), "{path}: {}", file.header("cache-control"));
        assert_eq!(file.header("x-content-type-options"), "nosniff", "{path}");
    }
    for path in ["/web/", "/web/../api.token", "/web/%2e%2e/api.token", "/web/nothing.js", "/api.token", "//etc/passwd"]
    {
        let answer = Request::get(node.http, path).send().expect("it answers");
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[test]
fn who_takes_the_port_of_a_node_that_is_down_is_not_told_the_token() {
    let Some(browser) = Browser::start() else { return };
    browser.expect_complaints(UNREACHABLE);
    let mut nodes = mesh(&["bobby", "donald"]);
    let page = Page::open(&browser, &nodes[0]);
    page.say("before");
    let token = nodes[0].token();
    let mut status = nodes[0].read("/api/v1/status");
    status["id"] = nodes[1].id().into();
    nodes[0].kill();
    page.wait_for_state(&["stopped"]);
    let stranger = Stranger::serve_at(nodes[0].http, status.to_string());
    page.wait_for_state(&["unauthorized"]);
    assert!(page.text("#banner").contains("Another node"), "{}", page.text("#banner"));
    until("it was asked by the page and for the stream", || {
        let heard = stranger.heard();
        let looks = heard.matches("GET /api/v1/status ").count();
        if looks > 4 && heard.contains("GET /api/v1/peers ") { Ok(()) } else { Err(heard) }
    });
    let heard = stranger.heard().to_lowercase();
    assert!(!heard.contains("authorization") && !heard.contains(&token.to_lowercase()), "{heard}");
    drop(stranger);
    nodes[0].start();
    page.wait_for_state(&["connected"]);
    page.say("after");
    assert_eq!(page.texts(), ["before", "after"]);
}

#[test]
fn what_anybody_may_read_is_asked_without_the_token() {
    let Some(browser) = Browser::start() else { return };
    // Who is alone is ready only after a while.
    browser.expect_complaints("status of 503");
    let node = running("bobby");
    let page = Page::open(&browser, &node);
    let counted = "const plain = window.fetch; window.borne = {}; window.fetch = (path, options) => {
        const borne = new Headers(options?.headers).has('authorization');
        window.borne[String(path).split('?')[0]] = borne; return plain(path, options); }";
    page.run(counted, &[]);
    page.turn_to("mesh");
    until("the page has asked for what it shows", || {
        let borne = page.value("window.borne");
        let open = ["/api/v1/status", "/api/v1/peers"].iter().all(|path| borne[path] == false);
        if open && borne["/api/v1/log"] == true { Ok(()) } else { Err(borne.to_string()) }
    });
}
