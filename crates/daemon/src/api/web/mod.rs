//! The page: static files, embedded in the program, under a policy that lets them run nothing but themselves.
//!
//! `/` is asked for anew each time and answered with 304 while it is the same; everything else stands below
//! `/web/NAME.HASH.EXT` and may be kept for ever, because another content has another name. No file needs the token:
//! the page reads it from the part of its address that is never sent.

mod assets;
mod files;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::problem;
use assets::{Asset, Site};

/// Only the page's own files run, and they reach only this node. Nothing inline, nothing evaluated, no markup made
/// from strings, nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The page uses no device.
const PERMISSIONS: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

/// What every file of the page says.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
];

/// A year: the longest that caches take seriously.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The routes of the page.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(page)).route("/web/{name}", get(asset))
}

async fn page(headers: HeaderMap) -> Response {
    let site = Site::get();
    let is_known = headers.get_all(IF_NONE_MATCH).iter().any(|known| names(known, &site.tag));
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { body(&site.page, &headers) };
    dress(&mut response, "no-cache");
    if let Ok(tag) = HeaderValue::from_str(&site.tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    std::future::ready(response).await
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = Site::get().assets.get(&name) else { return problem::not_found().await.into_response() };
    let mut response = body(asset, &headers);
    dress(&mut response, FOR_EVER);
    response
}

fn body(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let content_type = [(CONTENT_TYPE, asset.content_type)];
    if !takes_gzip(headers) {
        return (content_type, Bytes::from_static(asset.plain.as_bytes())).into_response();
    }
    (content_type, [(CONTENT_ENCODING, "gzip")], Bytes::from_static(asset.packed())).into_response()
}

fn dress(response: &mut Response, caching: &'static str) {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
}

/// Whether a list of tags (RFC 9110, 13.1.2) names this one.
fn names(known: &HeaderValue, tag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == tag.trim_start_matches("W/"))
}

/// Whether gzip is asked for, and not refused by a weight of nothing.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused =
            parts.any(|part| part.strip_prefix("q=").and_then(|weight| weight.parse().ok()) == Some(0.0_f32));
        is_gzip && !is_refused
    })
}
