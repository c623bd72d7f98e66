//! The registry in a file of this host.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meshline_daemon::database::is_damage;
use meshline_daemon::files::put_aside;
use meshline_protocol::SignedRecord;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::task::spawn_blocking;

use super::codec::{ends_of, floor_bytes, floor_of, key_of, key_text, put_stored, stored_of};
use crate::app::{App, now};
use crate::registry::{Change, Floor, Recording, SecretKey};

const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
const FLOORS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("floors");
const REVOCATIONS: TableDefinition<'_, &str, &str> = TableDefinition::new("revocations");
const SECRETS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("secrets");

/// Bytes of the file held in memory: all entries are there already.
const CACHE: usize = 4 * 1024 * 1024;

/// How late the file may be. Whoever is not in it after a crash announces itself again.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Of those rounds, how many until what has ended by itself is taken out of the file.
const PRUNE_EVERY: u32 = 600;

/// Changes in one transaction: some milliseconds of writing.
const BATCH: usize = 16_384;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot keep the registry here: {source}", path = path.display())]
pub struct FileError {
    path: PathBuf,
    source: redb::Error,
}

/// The file.
#[derive(Debug)]
pub(crate) struct FileStore {
    database: Arc<Database>,
}

impl FileStore {
    /// Opens the file, or makes it, and reads it into the registry. A damaged one is put aside: what was in it comes
    /// back from its owners within their next refresh.
    pub(super) fn open(path: &Path, app: &App) -> Result<Self, FileError> {
        let failed = |source: redb::Error| FileError { path: path.to_owned(), source };
        let opened = database(path).and_then(|database| load(&database, app).map(|()| database));
        let database = match opened {
            Err(error) if is_damage(&error) => {
                let aside = put_aside(path).map_err(|error| failed(error.into()))?;
                tracing::warn!(%error, file = %aside.display(), "the registry on disk is damaged; put aside");
                let fresh = database(path).map_err(failed)?;
                load(&fresh, app).map_err(failed)?;
                fresh
            }
            opened => opened.map_err(failed)?,
        };
        app.registry().record(Recording::Entries);
        Ok(Self { database: Arc::new(database) })
    }

    pub(super) async fn run(&self, app: &App) {
        let mut timer = tokio::time::interval(WRITE_EVERY);
        let mut round = 0_u32;
        loop {
            timer.tick().await;
            self.flush(app).await;
            round = round.wrapping_add(1);
            if round.is_multiple_of(PRUNE_EVERY) {
                self.carry_out(app, prune).await;
            }
        }
    }

    /// Writes everything that has changed.
    pub(super) async fn flush(&self, app: &App) {
        loop {
            let changes = app.registry().take_changes(BATCH);
            if changes.is_empty() {
                return;
            }
            let count = changes.len();
            let is_kept = self.carry_out(app, move |database| write(database, &changes)).await;
            app.metrics.kept(if is_kept { "kept" } else { "lost" }, count);
        }
    }

    async fn carry_out(
        &self,
        app: &App,
        work: impl FnOnce(&Database) -> Result<(), redb::Error> + Send + 'static,
    ) -> bool {
        let database = Arc::clone(&self.database);
        let done = spawn_blocking(move || work(&database)).await;
        if let Ok(Err(error)) = &done {
            app.log.line(|| tracing::warn!(%error, "cannot write the registry; it goes on in memory"));
        }
        matches!(done, Ok(Ok(())))
    }
}

fn database(path: &Path) -> Result<Database, redb::Error> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Ok(redb::Builder::new().set_cache_size(CACHE).create_file(file)?)
}

/// Makes a file, or adds to one: for a registry that comes from elsewhere, and for measuring.
///
/// # Errors
/// [`FileError`] if the file cannot be written.
pub fn write_store(path: &Path, key: &[u8; 32], changes: &[Change]) -> Result<(), FileError> {
    let put_key = |database: &Database| {
        let writing = database.begin_write()?;
        writing.open_table(SECRETS)?.insert("key", &key[..])?;
        writing.commit()?;
        write(database, changes)
    };
    let written = database(path).and_then(|database| put_key(&database));
    written.map_err(|source| FileError { path: path.to_owned(), source })
}

/// Reads all there is. Entries get a full term: when they were refreshed last is not written.
fn load(database: &Database, app: &App) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    drop((writing.open_table(ENTRIES)?, writing.open_table(FLOORS)?, writing.open_table(REVOCATIONS)?));
    let key = own_key(&writing)?;
    writing.commit()?;
    prune(database)?;
    let (now, mut registry) = (now(), app.registry());
    registry.adopt_key(SecretKey::new(&key));
    let reading = database.begin_read()?;
    for row in reading.open_table(REVOCATIONS)?.iter()? {
        let record = serde_json::from_str::<SignedRecord>(row?.1.value());
        record.into_iter().for_each(|record| registry.apply(Change::Revoked(record), now));
    }
    for row in reading.open_table(FLOORS)?.iter()? {
        let (key, floor) = row?;
        if let (Some(key), Some(floor)) = (key_of(key.value()), floor_of(floor.value())) {
            registry.apply(Change::Gone(key, Some(floor)), now);
        }
    }
    for row in reading.open_table(ENTRIES)?.iter()? {
        let (key, stored) = row?;
        if let (Some(key), Some(mut stored)) = (key_of(key.value()), stored_of(stored.value())) {
            stored.ends = stored.expires;
            registry.apply(Change::Entry(key, stored), now);
        }
    }
    Ok(())
}

/// The key of the secrets, made with the file.
fn own_key(writing: &WriteTransaction) -> Result<[u8; 32], redb::Error> {
    let mut secrets = writing.open_table(SECRETS)?;
    let kept = secrets.get("key")?.and_then(|key| <[u8; 32]>::try_from(key.value()).ok());
    if let Some(key) = kept {
        return Ok(key);
    }
    let key = crate::app::random_bytes::<32>().map_err(io::Error::other)?;
    secrets.insert("key", &key[..])?;
    Ok(key)
}

fn write(database: &Database, changes: &[Change]) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    {
        let mut entries = writing.open_table(ENTRIES)?;
        let mut floors = writing.open_table(FLOORS)?;
        let mut revocations = writing.open_table(REVOCATIONS)?;
        for change in changes {
            match change {
                Change::Entry(key, stored) => {
                    let (key, mut bytes) = (key_text(key), Vec::new());
                    put_stored(stored, &mut bytes);
                    entries.insert(&*key, &*bytes)?;
                    floors.remove(&*key)?;
                }
                Change::Gone(key, floor) => {
                    let key = key_text(key);
                    entries.remove(&*key)?;
                    keep_floor(&mut floors, &key, *floor)?;
                }
                Change::Revoked(record) => {
                    let text = serde_json::to_string(record).map_err(io::Error::other)?;
                    revocations.insert(&*record.sig, &*text)?;
                }
                // A file is told none of these.
                Change::Refreshed(..) | Change::Ended(..) => {}
            }
        }
    }
    writing.commit()?;
    Ok(())
}

/// Takes out floors and revocations that hold no more.
fn prune(database: &Database) -> Result<(), redb::Error> {
    let now = now();
    let writing = database.begin_write()?;
    writing.open_table(FLOORS)?.retain(|_, floor| floor_of(floor).is_some_and(|floor| floor.until > now))?;
    writing.open_table(REVOCATIONS)?.retain(|_, record| {
        serde_json::from_str(record).ok().and_then(|record| ends_of(&record)).is_some_and(|ends| ends > now)
    })?;
    writing.commit()?;
    Ok(())
}

fn keep_floor(
    floors: &mut redb::Table<'_, &'static str, &'static [u8]>,
    key: &str,
    floor: Option<Floor>,
) -> Result<(), redb::Error> {
    match floor {
        Some(floor) => floors.insert(key, &floor_bytes(floor)[..])?,
        None => floors.remove(key)?,
    };
    Ok(())
}
