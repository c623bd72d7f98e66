//! The messages of the chat on disk: `data_dir/chat.redb`, made with the first message.
//!
//! One transaction for everything that came while the last one was written. What only says how far a message has come
//! is not worth a flush of its own and goes to disk with the next message.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meshline_mesh::SignedText;
use meshline_net::KeepSink;
use meshline_protocol::{NodeId, SignedRecord, UnixMicros};
use meshline_services::chat::{Delivery, Floors, Key, State, Stored, StoredMessage, Write};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::database::is_damage;
use crate::files::put_aside;

/// By cursor: what stands in [`Row`] as JSON, and the bytes that the author signed.
const MESSAGES: TableDefinition<'_, u64, (&str, &[u8])> = TableDefinition::new("messages");

/// By id: the announcement of an author of a kept message, as JSON.
const AUTHORS: TableDefinition<'_, &str, &str> = TableDefinition::new("authors");

/// `floors`: what gave way. `last_cursor`: the last cursor given out.
const MARKS: TableDefinition<'_, &str, &str> = TableDefinition::new("marks");

/// Bytes of the file held in memory. All messages are in memory already; this serves writing.
const CACHE: usize = 1024 * 1024;

/// A message beside its signed bytes.
#[derive(Serialize, Deserialize)]
struct Row {
    author: NodeId,
    seq: UnixMicros,
    sig: String,
    name: String,
    state: Progress,
    delivered_to: usize,
    delivered_of: usize,
    path: Vec<NodeId>,
}

/// [`State`] as it is written.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Progress {
    Received,
    Queued,
    Sent,
    Delivered,
}

/// [`Floors`] as they are written.
#[derive(Default, Serialize, Deserialize)]
struct Marks {
    all: Option<Mark>,
    authors: BTreeMap<NodeId, UnixMicros>,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    seq: UnixMicros,
    author: NodeId,
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("chat.redb")
}

/// Why a member cannot start: the file is there and may be whole, but cannot be read now.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot read the messages of the chat: {source}", path = path.display())]
pub(super) struct LoadError {
    path: PathBuf,
    source: redb::Error,
}

/// Reads what was kept. A damaged file is put aside: what was in it comes back from other members. Anything else that
/// is wrong may pass, and then all of it is there again.
pub(super) fn load(data_dir: &Path) -> Result<Stored, LoadError> {
    let path = file(data_dir);
    if path.try_exists().is_ok_and(|exists| !exists) {
        return Ok(Stored::default());
    }
    let error = match read(&path) {
        Ok(stored) => return Ok(stored),
        Err(error) if is_damage(&error) => error,
        Err(source) => return Err(LoadError { path, source }),
    };
    let aside = put_aside(&path).map_err(|source| LoadError { path, source: source.into() })?;
    tracing::warn!(target: "meshline", %error, file = %aside.display(), "the messages on disk are damaged; put aside, starting without them");
    Ok(Stored::default())
}

fn read(path: &Path) -> Result<Stored, redb::Error> {
    let database = open(path)?;
    let reading = database.begin_read()?;
    let mut stored = Stored::default();
    for entry in reading.open_table(MESSAGES)?.iter()? {
        let (cursor, value) = entry?;
        let (row, body) = value.value();
        // A row of a later version that this one cannot read is left where it is.
        let Ok(row) = serde_json::from_str::<Row>(row) else { continue };
        stored.messages.push(message_of(cursor.value(), row, body));
    }
    for entry in reading.open_table(AUTHORS)?.iter()? {
        stored.authors.extend(serde_json::from_str::<SignedRecord>(entry?.1.value()).ok());
    }
    let marks = reading.open_table(MARKS)?;
    let mark = |name: &str| Ok::<_, redb::Error>(marks.get(name)?.map(|value| value.value().to_owned()));
    let floors = mark("floors")?.and_then(|text| serde_json::from_str::<Marks>(&text).ok()).unwrap_or_default();
    stored.floors =
        Floors { all: floors.all.map(|mark| Key { seq: mark.seq, author: mark.author }), authors: floors.authors };
    stored.last_cursor = mark("last_cursor")?.and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(stored)
}

fn message_of(cursor: u64, row: Row, body: &[u8]) -> StoredMessage {
    let signed = SignedText { by: row.author, seq: row.seq, sig: row.sig, body: body.to_vec().into() };
    let state = match row.state {
        Progress::Received => State::Received,
        Progress::Queued => State::Queued,
        Progress::Sent => State::Sent,
        Progress::Delivered => State::Delivered,
    };
    let delivery = Delivery { state, delivered_to: row.delivered_to, delivered_of: row.delivered_of };
    StoredMessage { cursor, signed: Arc::new(signed), name: row.name, delivery, path: row.path }
}

fn row_of(message: &StoredMessage) -> Row {
    let (signed, delivery) = (&message.signed, message.delivery);
    Row {
        author: signed.by,
        seq: signed.seq,
        sig: signed.sig.clone(),
        name: message.name.clone(),
        state: progress(delivery.state),
        delivered_to: delivery.delivered_to,
        delivered_of: delivery.delivered_of,
        path: message.path.clone(),
    }
}

fn progress(state: State) -> Progress {
    match state {
        State::Received => Progress::Received,
        State::Queued => Progress::Queued,
        State::Sent => Progress::Sent,
        State::Delivered => Progress::Delivered,
    }
}

/// Opens the file, for its owner only; makes it if it is not there.
fn open(path: &Path) -> Result<Database, redb::Error> {
    let is_new = !path.exists();
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let made = Database::builder().set_cache_size(CACHE).create_file(file);
    if made.is_err() && is_new {
        // Half a file, on a full disk: the next attempt begins anew.
        let _ = std::fs::remove_file(path);
    }
    Ok(made?)
}

/// Writes what the chat wants kept.
pub(super) fn sink(data_dir: &Path) -> KeepSink {
    let path = file(data_dir);
    let mut opened = None;
    Box::new(move |writes: Vec<Write>| {
        let database = match &mut opened {
            Some(database) => database,
            slot @ None => slot.insert(open(&path).map_err(io::Error::other)?),
        };
        let result = commit(database, &writes);
        if result.is_err() {
            // After a failed write the file is opened anew, which repairs it.
            opened = None;
        }
        result.map_err(io::Error::other)
    })
}

fn commit(database: &Database, writes: &[Write]) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    let is_worth_a_flush = writes.iter().any(|write| !matches!(write, Write::Delivery { .. }));
    transaction.set_durability(if is_worth_a_flush { Durability::Immediate } else { Durability::None })?;
    {
        // Opening makes them, so that a file with one table has all.
        let mut tables = Tables {
            messages: transaction.open_table(MESSAGES)?,
            authors: transaction.open_table(AUTHORS)?,
            marks: transaction.open_table(MARKS)?,
        };
        for write in writes {
            tables.apply(write)?;
        }
    }
    Ok(transaction.commit()?)
}

struct Tables<'t> {
    messages: Table<'t, u64, (&'static str, &'static [u8])>,
    authors: Table<'t, &'static str, &'static str>,
    marks: Table<'t, &'static str, &'static str>,
}

impl Tables<'_> {
    fn apply(&mut self, write: &Write) -> Result<(), StorageError> {
        match write {
            Write::Message(message) => {
                self.put(message.cursor, &row_of(message), &message.signed.body)?;
                self.marks.insert("last_cursor", message.cursor.to_string().as_str())?;
            }
            Write::Delivery { cursor, delivery } => self.deliver(*cursor, *delivery)?,
            Write::Author(record) => {
                self.authors.insert(record.by.to_string().as_str(), json(record).as_str())?;
            }
            Write::Forget { cursors, floors, authors } => {
                for cursor in cursors {
                    self.messages.remove(cursor)?;
                }
                for author in authors {
                    self.authors.remove(author.to_string().as_str())?;
                }
                let all = floors.all.map(|floor| Mark { seq: floor.seq, author: floor.author });
                let marks = json(&Marks { all, authors: floors.authors.clone() });
                self.marks.insert("floors", marks.as_str())?;
            }
        }
        Ok(())
    }

    /// The message may have given way already.
    fn deliver(&mut self, cursor: u64, delivery: Delivery) -> Result<(), StorageError> {
        let found = self.messages.get(cursor)?.map(|value| {
            let (row, body) = value.value();
            (serde_json::from_str::<Row>(row), body.to_vec())
        });
        let Some((Ok(row), body)) = found else { return Ok(()) };
        let Delivery { state, delivered_to, delivered_of } = delivery;
        self.put(cursor, &Row { state: progress(state), delivered_to, delivered_of, ..row }, &body)
    }

    fn put(&mut self, cursor: u64, row: &Row, body: &[u8]) -> Result<(), StorageError> {
        self.messages.insert(cursor, (json(row).as_str(), body)).map(drop)
    }
}

/// Plain data always has a form as JSON.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
