//! What browsers are sent, and what must never stand in the files of the page.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::assets::Site;
use super::files::{FILES, PAGE, is_later};

/// What a first visit loads, packed.
const MAX_WEIGHT: usize = 60 * 1024;

/// What is loaded further when somebody turns to the ledger: with it the page is still lighter than one photograph.
const MAX_LATER: usize = 30 * 1024;

async fn get(path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let router: Router = super::routes();
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    TowerToHyperService::new(router).call(request).await.unwrap()
}

async fn body(response: Response<Body>) -> Vec<u8> {
    to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

fn unpacked(packed: &[u8]) -> String {
    std::io::read_to_string(flate2::read::GzDecoder::new(packed)).unwrap()
}

/// The path that a file is served at.
fn path_of(stem: &str, extension: &str) -> String {
    let start = format!("{stem}.");
    let name = Site::get().assets.keys().find(|name| name.starts_with(&start) && name.ends_with(extension));
    format!("/web/{}", name.unwrap())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../node/web")
}

#[tokio::test]
async fn the_page_runs_nothing_but_its_own_files() {
    let response = get("/", &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let policy = header(&response, "content-security-policy");
    for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'"]
    {
        assert!(policy.contains(rule), "{rule}");
    }
    for rule in ["form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"] {
        assert!(policy.contains(rule), "{rule}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
}

#[tokio::test]
async fn every_file_of_the_page_carries_the_same_guards() {
    for path in ["/".to_owned(), path_of("main", ".js"), path_of("base", ".css"), path_of("icon", ".svg")] {
        let response = get(&path, &[]).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(!header(&response, "content-security-policy").is_empty(), "{path}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(&response, "cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(header(&response, "cross-origin-resource-policy"), "same-origin", "{path}");
        assert!(header(&response, "permissions-policy").contains("camera=()"), "{path}");
        assert_eq!(header(&response, "vary"), "accept-encoding", "{path}");
        assert!(response.headers().get("set-cookie").is_none(), "{path}");
    }
}

#[tokio::test]
async fn the_page_is_asked_for_again_and_answered_with_304_while_it_is_the_same() {
    let first = get("/", &[]).await;
    assert_eq!(header(&first, "cache-control"), "no-cache");
    let tag = header(&first, "etag").to_owned();
    for known in [tag.clone(), format!("\"other\", {tag}"), tag.trim_start_matches("W/").to_owned(), "*".to_owned()] {
        let again = get("/", &[("if-none-match", &known)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(header(&again, "etag"), tag);
        assert!(!header(&again, "content-security-policy").is_empty());
        assert!(body(again).await.is_empty());
    }
    let other = get("/", &[("if-none-match", "W/\"0\"")]).await;
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_carries_its_hash_may_be_kept_for_ever() {
    for (path, content_type) in [
        (path_of("main", ".js"), "text/javascript; charset=utf-8"),
        (path_of("chat", ".css"), "text/css; charset=utf-8"),
        (path_of("icon", ".svg"), "image/svg+xml"),
    ] {
        let response = get(&path, &[]).await;
        assert_eq!(header(&response, "cache-control"), "public, max-age=31536000, immutable", "{path}");
        assert_eq!(header(&response, "content-type"), content_type, "{path}");
    }
}

#[tokio::test]
async fn bytes_are_packed_for_who_takes_them_so() {
    let path = path_of("main", ".js");
    let plain = get(&path, &[]).await;
    assert_eq!(header(&plain, "content-encoding"), "");
    let plain = String::from_utf8(body(plain).await).unwrap();
    for accepted in ["gzip", "gzip, deflate, br", "br;q=1.0, GZIP;q=0.5"] {
        let packed = get(&path, &[("accept-encoding", accepted)]).await;
        assert_eq!(header(&packed, "content-encoding"), "gzip", "{accepted}");
        assert_eq!(unpacked(&body(packed).await), plain);
    }
    for refused in ["identity", "gzip;q=0", "br, gzip; q=0.000", ""] {
        let response = get(&path, &[("accept-encoding", refused)]).await;
        assert_eq!(header(&response, "content-encoding"), "", "{refused}");
    }
}

#[tokio::test]
async fn an_unknown_file_is_a_problem_and_not_kept() {
    for path in ["/web/main.js", "/web/main.0000000000000000.js", "/web/..%2fCargo.toml"] {
        let response = get(path, &[]).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(header(&response, "content-type"), "application/problem+json", "{path}");
        assert!(!header(&response, "cache-control").contains("immutable"), "{path}");
    }
}

#[test]
fn every_reference_leads_to_a_file() {
    let site = Site::get();
    let contents = site.assets.values().map(|asset| &asset.plain).chain([&site.page.plain]);
    let mut seen = 0;
    for content in contents {
        for reference in content.split('"').filter(|text| text.starts_with("./") || text.starts_with("/web/")) {
            let name = reference.trim_start_matches("./").trim_start_matches("/web/");
            assert!(site.assets.contains_key(name), "{reference}");
            seen += 1;
        }
        let dynamic = content.split("import(").skip(1).all(|rest| rest.starts_with("\"./"));
        assert!(!content.contains("from \"../") && dynamic, "only plain imports get their names");
    }
    assert!(seen > FILES.len(), "{seen} references");
}

#[test]
fn the_page_tells_of_every_module_and_style_sheet_of_a_first_visit() {
    let page = &Site::get().page.plain;
    for name in Site::get().assets.keys() {
        assert_eq!(page.contains(&format!("\"/web/{name}\"")), !is_later(name), "{name}");
    }
}

#[test]
fn what_comes_later_is_asked_for_by_nothing_that_comes_at_once_but_in_one_place() {
    let names_later =
        |content: &str| content.split('"').filter(|text| text.starts_with("./") && is_later(text)).count();
    for (path, content) in FILES.iter().filter(|(path, _)| !is_later(path)) {
        assert_eq!(names_later(content), usize::from(*path == "js/main.js"), "{path}");
    }
    assert_eq!(names_later(PAGE), 0);
}

#[test]
fn every_file_of_the_folder_is_served_under_a_name_of_its_own() {
    let mut on_disk = BTreeSet::new();
    for folder_name in ["css", "js", ""] {
        for entry in std::fs::read_dir(folder().join(folder_name)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let path = Path::new(folder_name).join(entry.file_name());
                on_disk.insert(path.to_str().unwrap().to_owned());
            }
        }
    }
    on_disk.remove("index.html");
    let listed: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(listed, on_disk);
    assert_eq!(Site::get().assets.len(), FILES.len());
}

#[test]
fn nothing_stands_inline_and_no_text_becomes_markup_or_code() {
    let inline = ["<style", " style=", "javascript:", " onclick=", " onload=", " onerror=", " onsubmit="];
    for word in inline {
        assert!(!PAGE.contains(word), "index.html: {word}");
    }
    let scripts = PAGE.split("<script").skip(1);
    assert!(scripts.clone().count() > 0);
    for script in scripts {
        assert!(script.contains("src=\"") && script.contains("></script>"), "a script stands inline");
    }
    let sinks = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
        "createContextualFragment",
        "setHTMLUnsafe",
        "srcdoc",
        "document.cookie",
        "localStorage",
        "setAttribute(\"style\"",
    ];
    for (path, content) in FILES.iter().filter(|(path, _)| path.ends_with(".js")) {
        for word in sinks {
            assert!(!content.contains(word), "{path}: {word}");
        }
    }
}

#[test]
fn the_page_asks_nobody_but_its_own_node() {
    for (path, content) in FILES {
        // Names of formats, and what is told to people, are no addresses that anybody is asked at.
        let foreign = content.replace("http://www.w3.org/2000/svg", "").replace("http://127.0.0.1", "");
        let foreign = foreign.replace("\"http:\"", "").replace("\"https:\"", "");
        assert!(!foreign.contains("http://") && !foreign.contains("https://"), "{path}");
        assert!(!foreign.contains("url(") && !foreign.contains("@import"), "{path}");
    }
}

#[test]
fn the_page_is_light() {
    let site = Site::get();
    let weigh = |later: bool| -> usize {
        let assets = site.assets.iter().filter(|(name, _)| is_later(name) == later);
        assets.map(|(_, asset)| asset.packed().len()).sum()
    };
    let first = weigh(false) + site.page.packed().len();
    assert!(first <= MAX_WEIGHT, "{first} bytes at first");
    assert!(weigh(true) <= MAX_LATER, "{} bytes later", weigh(true));
}

#[test]
fn files_of_the_page_stay_small_enough_to_be_read() {
    for (path, content) in FILES {
        let lines = content.lines().count();
        assert!(lines <= 350, "{path}: {lines} lines");
        let is_code = !path.ends_with(".svg");
        assert!(!is_code || content.lines().all(|line| line.chars().count() <= 130), "{path}: a line goes on and on");
    }
}
