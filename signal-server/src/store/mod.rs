//! Where the registry is kept when the server is not running, and shared when several serve one network.
//!
//! The registry itself is in memory and answers alone. A file is written behind it, at most a second late; through
//! Redis, servers tell each other what changed. Neither is ever waited for by a request.

mod codec;
mod file;
mod redis;

use std::path::{Path, PathBuf};

use crate::app::App;
pub use file::{FileError, write_store};
pub use redis::RedisError;

use file::FileStore;
use redis::Shared;

/// Where the registry is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreSetting {
    /// Nowhere: a restart forgets it.
    #[default]
    Memory,
    /// In a file.
    File(PathBuf),
    /// In Redis, for all servers that name the same: `redis://host:port/db`.
    Redis(String),
}

impl StoreSetting {
    /// Reads the key `store` of a configuration: `none`, `redis://…`, or the path of a file, relative to `folder`.
    #[must_use]
    pub fn parse(text: &str, folder: &Path) -> Self {
        match text {
            "" | "none" => Self::Memory,
            url if url.starts_with("redis://") => Self::Redis(url.to_owned()),
            path => Self::File(folder.join(path)),
        }
    }
}

/// Why a registry cannot be kept where it was told.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Redis.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// The place, opened.
#[derive(Debug)]
pub(crate) enum Store {
    Memory,
    File(FileStore),
    Redis(Shared),
}

impl Store {
    /// Opens the place and reads into the registry what is kept there. Redis is read later: a server starts without it.
    pub(crate) async fn open(setting: &StoreSetting, app: &App) -> Result<Self, StoreError> {
        Ok(match setting {
            StoreSetting::Memory => Self::Memory,
            StoreSetting::File(path) => Self::File(FileStore::open(path, app)?),
            StoreSetting::Redis(url) => Self::Redis(Shared::open(url, app).await?),
        })
    }

    /// Keeps what changes, for as long as it is polled.
    pub(crate) async fn run(&self, app: &App) {
        match self {
            Self::Memory => std::future::pending().await,
            Self::File(file) => file.run(app).await,
            Self::Redis(shared) => shared.run(app).await,
        }
    }

    /// Keeps what has changed up to now, when the server stops.
    pub(crate) async fn flush(&self, app: &App) {
        match self {
            Self::Memory => {}
            Self::File(file) => file.flush(app).await,
            Self::Redis(shared) => shared.flush(app).await,
        }
    }
}
