//! Keeps foreign web pages out: what a page of another origin can have a browser send is refused before anything
//! looks at it. There are no CORS headers, so what is not refused cannot be read either.

use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, Method, Request};

use super::problem::Problem;

/// What browsers say about where a request comes from. No page can forge it.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what does not come from this node's own page, from a program, or from a person who follows a link to the
/// page.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Problem> {
    let headers = request.headers();
    let named = request.uri().authority().is_none_or(|authority| is_own_name(authority.as_str()));
    if !named || !is_own_host(headers) {
        return Err(Problem::forbidden("the Host of this request is not an address of this node"));
    }
    if !is_own_origin(headers) {
        return Err(Problem::forbidden("the Origin of this request is not this node's own page"));
    }
    let reads = *request.method() == Method::GET || *request.method() == Method::HEAD;
    let is_page = reads && !request.uri().path().starts_with("/api/");
    if !is_page && is_from_foreign_page(headers) {
        return Err(Problem::forbidden("this request comes from a page of another site"));
    }
    Ok(())
}

/// A name that resolves to loopback is not enough (DNS rebinding): the host must be an address or localhost.
fn is_own_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|value| value.to_str().ok());
    host.is_some_and(is_own_name) && hosts.next().is_none()
}

fn is_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN).map(|value| value.to_str().unwrap_or_default()) else { return true };
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    origin.strip_prefix("http://").is_some_and(|origin| is_own_name(origin) && host == Some(origin))
}

/// A page on another port of this machine counts as the same site, and is foreign all the same.
fn is_from_foreign_page(headers: &HeaderMap) -> bool {
    headers.get(SEC_FETCH_SITE).is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

fn is_own_name(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_own_name;

    #[test]
    fn only_addresses_and_localhost_are_own_names() {
        for own in ["127.0.0.1:7001", "localhost:7001", "[::1]:7001", "10.0.0.5", "localhost"] {
            assert!(is_own_name(own), "{own}");
        }
        for foreign in
            ["evil.example:7001", "127.0.0.1.evil.example", "", "localhost.evil.example:7001", "user@127.0.0.1", "[::1"]
        {
            assert!(!is_own_name(foreign), "{foreign}");
        }
    }
}
