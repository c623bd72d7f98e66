//! The files under the names they are served by.
//!
//! The modules import each other by relative names, which work from any plain file server while one writes them. To be
//! kept for ever they need names that change with their content. An import map would have to stand inline, which the
//! policy forbids; so the names are put in where the files refer to each other, once, when the first browser asks. One
//! hash over all files names them all: modules may refer to each other in circles, the files that a page loads are
//! always of one build, and what is fetched again after an update is less than one photograph.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::{LazyLock, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::files::{FILES, PAGE, is_later};

/// Where the page wants the browser told of all modules, so that it does not find them one import after the other.
const MODULES: &str = "<!-- modules -->";

static SITE: LazyLock<Site> = LazyLock::new(|| Site::new(PAGE, FILES));

/// Everything there is to serve.
pub(super) struct Site {
    pub(super) page: Asset,
    /// The tag of the page. Weak, because packed and unpacked it is the same page in different bytes.
    pub(super) tag: String,
    /// By name below `/web/`.
    pub(super) assets: BTreeMap<String, Asset>,
}

impl Site {
    pub(super) fn get() -> &'static Self {
        &SITE
    }

    fn new(page: &str, files: &[(&str, &str)]) -> Self {
        let hash = hash(page, files);
        let names = references(files, hash);
        let served =
            |(path, content): &(&str, &str)| (served_name(path, hash), Asset::new(path, refer(content, &names)));
        let page = refer(&page.replace(MODULES, &preloads(files)), &names);
        Self {
            page: Asset::new("index.html", page),
            tag: format!("W/\"{hash:016x}\""),
            assets: files.iter().map(served).collect(),
        }
    }
}

/// One file.
pub(super) struct Asset {
    pub(super) content_type: &'static str,
    pub(super) plain: String,
    packed: OnceLock<Vec<u8>>,
}

impl Asset {
    fn new(path: &str, plain: String) -> Self {
        let content_type = match path.rsplit_once('.').map(|(_, extension)| extension) {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some(_) | None => "application/octet-stream",
        };
        Self { content_type, plain, packed: OnceLock::new() }
    }

    /// The content as gzip, made when it is first wanted.
    pub(super) fn packed(&self) -> &[u8] {
        self.packed.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            // Nothing fails when the target is memory.
            let _ = encoder.write_all(self.plain.as_bytes());
            encoder.finish().unwrap_or_default()
        })
    }
}

/// A name for this very content. It guards against stale caches, not against attackers: whoever could choose the
/// content had no need to deceive the cache.
fn hash(page: &str, files: &[(&str, &str)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (page, files).hash(&mut hasher);
    hasher.finish()
}

/// `js/main.js` as `main.0123456789abcdef.js`.
fn served_name(path: &str, hash: u64) -> String {
    let file = file_name(path);
    match file.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}.{hash:016x}.{extension}"),
        None => file.to_owned(),
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, file)| file)
}

/// What stands for a file between quotes, in modules (`./dom.js`) and in the page (`js/dom.js`), with its served name.
fn references(files: &[(&str, &str)], hash: u64) -> BTreeMap<String, String> {
    let both = |path: &str| {
        let name = served_name(path, hash);
        [(format!("./{}", file_name(path)), format!("./{name}")), (path.to_owned(), format!("/web/{name}"))]
    };
    files.iter().flat_map(|(path, _)| both(path)).collect()
}

/// Puts the served names where `content` refers to other files.
fn refer(content: &str, names: &BTreeMap<String, String>) -> String {
    let pieces: Vec<&str> = content.split('"').map(|piece| names.get(piece).map_or(piece, String::as_str)).collect();
    pieces.join("\"")
}

fn preloads(files: &[(&str, &str)]) -> String {
    let is_wanted = |path: &str| path.ends_with(".js") && !path.ends_with("/main.js") && !is_later(path);
    let modules = files.iter().filter(|(path, _)| is_wanted(path));
    modules.map(|(path, _)| format!("<link rel=\"modulepreload\" href=\"{path}\">")).collect::<Vec<_>>().join("\n  ")
}
