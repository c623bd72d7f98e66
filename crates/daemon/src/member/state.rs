//! What a member keeps in its data folder.

use std::path::{Path, PathBuf};

use meshline_mesh::Saved;
use meshline_net::StoreSink;

use crate::files::{self, Access};

fn state_file(data_dir: &Path) -> PathBuf {
    data_dir.join("state.json")
}

fn page_file(data_dir: &Path) -> PathBuf {
    data_dir.join("page")
}

/// Reads what was kept. A file that is not there is a first start; one that cannot be read is put aside, because
/// a member without its memory still runs, and one that refuses to start does not.
pub(super) fn load(data_dir: &Path) -> Saved {
    let path = state_file(data_dir);
    let text = match files::read(&path) {
        Ok(text) => text,
        Err(error) if error.is_missing() => return Saved::default(),
        Err(error) => {
            tracing::warn!(target: "meshline", %error, "starting without known peers");
            return Saved::default();
        }
    };
    serde_json::from_str(&text).unwrap_or_else(|error| {
        let aside = path.with_extension("json.damaged");
        // If it cannot be put aside it is overwritten, which loses nothing that could be read.
        let _ = std::fs::rename(&path, &aside);
        tracing::warn!(target: "meshline", %error, file = %aside.display(), "the state file is damaged; put aside, starting without known peers");
        Saved::default()
    })
}

/// Writes what the core wants kept: whole or not at all, and on disk before it counts.
pub(super) fn sink(data_dir: &Path) -> StoreSink {
    let path = state_file(data_dir);
    Box::new(move |saved: &Saved| {
        let text = serde_json::to_string(saved)?;
        files::write(&path, text.as_bytes(), Access::Private).map_err(std::io::Error::other)
    })
}

/// Notes where the page of this run is, for `node page`.
pub(super) fn write_page(data_dir: &Path, address: Option<&str>) {
    let path = page_file(data_dir);
    let written = match address {
        Some(address) => files::write(&path, address.as_bytes(), Access::Private).map_err(|error| error.to_string()),
        None => match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        },
    };
    if let Err(error) = written {
        tracing::warn!(target: "meshline", %error, "the address of the page was not noted");
    }
}

/// Where the page of the last run was.
pub(super) fn read_page(data_dir: &Path) -> Option<String> {
    files::read(&page_file(data_dir)).ok().map(|text| text.trim().to_owned())
}
