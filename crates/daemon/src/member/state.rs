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

/// Reads what was kept. A file that is not there is a first start; a damaged one is put aside, because a member without
/// its memory still runs, and one that refuses to start does not.
pub(super) fn load(data_dir: &Path) -> Saved {
    let path = state_file(data_dir);
    let error: Box<dyn std::error::Error> = match files::read(&path) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(saved) => return saved,
            Err(error) => error.into(),
        },
        Err(error) if error.is_missing() => return Saved::default(),
        Err(error) if error.is_damage() => error.into(),
        Err(error) => {
            tracing::warn!(target: "meshline", %error, "starting without known peers");
            return Saved::default();
        }
    };
    match files::put_aside(&path) {
        Ok(aside) => {
            tracing::warn!(target: "meshline", %error, file = %aside.display(), "the state file is damaged; put aside, starting without known peers");
        }
        // It will be overwritten, which loses nothing that could be read.
        Err(refusal) => {
            tracing::warn!(target: "meshline", %error, reason = %refusal, "the state file is damaged and cannot be put aside; starting without known peers");
        }
    }
    Saved::default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_put_aside_by_number_and_none_overwrites_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = state_file(folder.path());
        let huge = vec![b' '; usize::try_from(files::MAX_FILE).expect("small") + 1];
        let damages = [b"{\"known".to_vec(), vec![0xff; 100], huge];
        for damage in &damages {
            std::fs::write(&path, damage).expect("written");
            assert_eq!(load(folder.path()), Saved::default());
            assert!(!path.exists());
        }
        for (number, damage) in (1..).zip(&damages) {
            let aside = folder.path().join(format!("state.json.damaged-{number}"));
            assert!(std::fs::read(aside).expect("there") == *damage, "damage {number}");
        }
    }
}
