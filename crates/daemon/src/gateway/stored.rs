//! The forwards that were added, on disk: `data_dir/forwards.json`, written whole or not at all.

use std::path::{Path, PathBuf};

use meshline_gateway::limits::MAX_FORWARDS;
use meshline_gateway::{ForwardConfig, Refusal, StoredForwards};

use super::not_kept;
use crate::files::{self, Access};

/// The file.
#[derive(Debug)]
pub(super) struct Stored {
    path: PathBuf,
}

impl Stored {
    pub(super) fn at(data_dir: &Path) -> Self {
        Self { path: data_dir.join("forwards.json") }
    }

    /// What is in it. A damaged file is put aside: a member without its added forwards still runs.
    pub(super) fn load(&self) -> Vec<ForwardConfig> {
        let error: Box<dyn std::error::Error> = match files::read(&self.path) {
            Ok(text) => match read(&text) {
                Ok(forwards) => return forwards,
                Err(error) => error,
            },
            Err(error) if error.is_missing() => return Vec::new(),
            Err(error) => error.into(),
        };
        let aside = files::put_aside(&self.path).map(|aside| aside.display().to_string());
        let aside = aside.unwrap_or_else(|refusal| refusal.to_string());
        tracing::warn!(target: "meshline", %error, file = aside, "the added forwards cannot be read; starting without them");
        Vec::new()
    }

    /// Writes them; on disk when this returns.
    pub(super) async fn save(&self, forwards: StoredForwards) -> Result<(), Refusal> {
        let path = self.path.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let text = serde_json::to_string_pretty(&forwards).map_err(|error| not_kept(&path, &error))?;
            files::write(&path, format!("{text}\n").as_bytes(), Access::Private)
                .map_err(|error| not_kept(&path, &error))
        });
        writing.await.map_err(|error| not_kept(&self.path, &error))?
    }
}

fn read(text: &str) -> Result<Vec<ForwardConfig>, Box<dyn std::error::Error>> {
    let stored: StoredForwards = serde_json::from_str(text)?;
    if stored.schema != StoredForwards::SCHEMA {
        return Err(format!("found the schema {:?}, expected {:?}", stored.schema, StoredForwards::SCHEMA).into());
    }
    Ok(stored.forwards.into_iter().take(MAX_FORWARDS).collect())
}
