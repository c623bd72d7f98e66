//! The registry shared by several servers through Redis.
//!
//! Every server has all of it in memory. In Redis stand the entries, each with its own end, so that a server that
//! starts reads what is; and a stream of changes, from which the others learn within moments. Without Redis a server
//! goes on with what it has, and catches up when Redis is back.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use meshline_protocol::SignedRecord;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamMaxlen, StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, AsyncConnectionConfig, Client, Pipeline, RedisResult, Value};
use tokio::time::{interval, sleep, timeout};

use super::codec::{changes_of, floor_bytes, floor_of, key_of, key_text, put_change, put_stored, stored_of};
use crate::app::{App, now, random_bytes};
use crate::registry::{Change, Floor, Recording, SecretKey, Stored};

/// Before every key in Redis, so that others may use the same database.
const PREFIX: &str = "meshline:signal:1:";

/// How late other servers may be.
const WRITE_EVERY: Duration = Duration::from_millis(200);

/// Before Redis is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a start waits for Redis.
const START_PATIENCE: Duration = Duration::from_secs(2);

/// How long a read of the stream waits for news; shorter than [`PATIENCE`].
const WAIT_MS: usize = 2_000;

/// Changes written in one go, and applied under one lock.
const BATCH: usize = 4_096;
const APPLIED_AT_ONCE: usize = 256;

/// Batches that stay in the stream: minutes of a busy network. Who is further behind reads everything anew.
const MAX_STREAM: usize = 4_096;

/// Batches read from it in one go.
const READ_AT_ONCE: usize = 64;

/// Keys read in one go.
const SCANNED: usize = 1_000;

/// Why Redis cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {source}")]
pub struct RedisError {
    url: String,
    source: redis::RedisError,
}

/// Redis.
#[derive(Debug)]
pub(crate) struct Shared {
    client: Client,
    /// This server in the stream, where it skips its own changes.
    name: String,
}

impl Shared {
    /// Reads the URL, and asks for the key of the secrets: one that is given out before both know it would serve here
    /// alone. That nobody answers there is no reason not to start.
    pub(super) async fn open(url: &str, app: &App) -> Result<Self, RedisError> {
        let client = Client::open(url).map_err(|source| RedisError { url: url.to_owned(), source })?;
        app.registry().record(Recording::Refreshes);
        let name =
            random_bytes::<16>().map_or_else(|_| std::process::id().to_string(), |name| BASE64URL_NOPAD.encode(&name));
        let shared = Self { client, name };
        let asked = timeout(START_PATIENCE, async {
            let mut connection = shared.connect().await?;
            shared.agree_on_key(&mut connection, app).await
        });
        // What is wrong is told when it is tried again.
        let _ = asked.await;
        Ok(shared)
    }

    pub(super) async fn run(&self, app: &App) {
        loop {
            let Err(error) = self.share(app).await else { continue };
            app.log.line(|| tracing::warn!(%error, "Redis does not answer; going on alone"));
            sleep(RETRY_AFTER).await;
        }
    }

    /// Writes what has changed up to now, if Redis is there.
    pub(super) async fn flush(&self, app: &App) {
        if let Ok(mut connection) = self.connect().await {
            // Whatever is not written now ends by itself in Redis.
            let _ = timeout(PATIENCE, self.write(&mut connection, app)).await;
        }
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// One connection's life: reads everything, then tells and is told until something fails.
    async fn share(&self, app: &App) -> RedisResult<()> {
        let mut connection = self.connect().await?;
        self.agree_on_key(&mut connection, app).await?;
        let from = last_of(&mut connection).await?;
        let found = self.read_all(&mut connection, app).await?;
        if found < app.registry().totals().entries {
            app.registry().touch_all();
        }
        tracing::info!(entries = found, "sharing the registry through Redis");
        let reading = self.connect().await?;
        tokio::try_join!(self.tell(connection, app), self.listen(reading, from, app))?;
        Ok(())
    }

    /// The key of the secrets: whoever comes first makes it.
    async fn agree_on_key(&self, connection: &mut MultiplexedConnection, app: &App) -> RedisResult<()> {
        let name = format!("{PREFIX}key");
        let fresh = random_bytes::<32>().map_err(|_| (redis::ErrorKind::Io, "no random bytes"))?;
        let _: bool = connection.set_nx(&name, &fresh[..]).await?;
        let key: Vec<u8> = connection.get(&name).await?;
        let key =
            <[u8; 32]>::try_from(key).map_err(|_| (redis::ErrorKind::UnexpectedReturnType, "no key of 32 bytes"))?;
        app.registry().adopt_key(SecretKey::new(&key));
        Ok(())
    }

    /// Takes in all that stands in Redis; how many entries.
    async fn read_all(&self, connection: &mut MultiplexedConnection, app: &App) -> RedisResult<usize> {
        let (mut cursor, mut entries) = (0_u64, 0);
        loop {
            let (next, names): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(format!("{PREFIX}?:*"))
                .arg("COUNT")
                .arg(SCANNED)
                .query_async(connection)
                .await?;
            if !names.is_empty() {
                let values: Vec<Option<Vec<u8>>> = connection.mget(&names).await?;
                let changes: Vec<Change> =
                    names.iter().zip(values).filter_map(|(name, value)| kept(name, &value?)).collect();
                entries += changes.iter().filter(|change| matches!(change, Change::Entry(..))).count();
                apply(changes, app).await;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(entries);
            }
        }
    }

    async fn tell(&self, mut connection: MultiplexedConnection, app: &App) -> RedisResult<()> {
        let mut timer = interval(WRITE_EVERY);
        loop {
            timer.tick().await;
            self.write(&mut connection, app).await?;
        }
    }

    /// Writes everything that has changed. What could not be written is told again.
    async fn write(&self, connection: &mut MultiplexedConnection, app: &App) -> RedisResult<()> {
        loop {
            let changes = app.registry().take_changes(BATCH);
            if changes.is_empty() {
                return Ok(());
            }
            let mut pipeline = redis::pipe();
            let mut batch = Vec::new();
            for change in &changes {
                keep(change, &mut pipeline);
                put_change(change, &mut batch);
            }
            let stream = format!("{PREFIX}log");
            let fields = [("by", self.name.as_bytes()), ("changes", &batch)];
            pipeline.xadd_maxlen(stream, StreamMaxlen::Approx(MAX_STREAM), "*", &fields).ignore();
            if let Err(error) = pipeline.query_async::<()>(connection).await {
                app.registry().touch_again(&changes);
                return Err(error);
            }
            app.metrics.kept("kept", changes.len());
        }
    }

    async fn listen(&self, mut connection: MultiplexedConnection, mut from: String, app: &App) -> RedisResult<()> {
        let stream = format!("{PREFIX}log");
        let options = StreamReadOptions::default().block(WAIT_MS).count(READ_AT_ONCE);
        loop {
            let reply: Option<StreamReadReply> = connection.xread_options(&[&stream], &[&from], &options).await?;
            let read: Vec<StreamId> = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect();
            // Only who is far behind can have missed anything.
            if read.len() >= READ_AT_ONCE
                && first_of(&mut connection).await?.is_some_and(|first| is_after(&first, &from))
            {
                from = last_of(&mut connection).await?;
                let entries = self.read_all(&mut connection, app).await?;
                tracing::info!(entries, "read everything anew: changes were dropped before they were read here");
                continue;
            }
            for entry in read {
                let by: Option<String> = entry.get("by");
                let batch: Option<Vec<u8>> = entry.get("changes");
                if by.as_deref() != Some(&self.name) {
                    apply(batch.map(|batch| changes_of(&batch)).unwrap_or_default(), app).await;
                }
                from = entry.id;
            }
        }
    }
}

/// Where the stream ends.
async fn last_of(connection: &mut MultiplexedConnection) -> RedisResult<String> {
    Ok(end_of(connection, "XREVRANGE", ["+", "-"]).await?.unwrap_or_else(|| "0-0".to_owned()))
}

/// Where the stream begins.
async fn first_of(connection: &mut MultiplexedConnection) -> RedisResult<Option<String>> {
    end_of(connection, "XRANGE", ["-", "+"]).await
}

async fn end_of(
    connection: &mut MultiplexedConnection,
    command: &str,
    range: [&str; 2],
) -> RedisResult<Option<String>> {
    let found: Vec<(String, Value)> =
        redis::cmd(command).arg(format!("{PREFIX}log")).arg(&range).arg("COUNT").arg(1).query_async(connection).await?;
    Ok(found.into_iter().next().map(|(id, _)| id))
}

/// Whether one place in the stream comes after another one: what stood between them may be gone.
fn is_after(one: &str, other: &str) -> bool {
    place_of(one) > place_of(other)
}

/// A time and a number, of which either may be left out at the end.
fn place_of(id: &str) -> (u64, u64) {
    let (time, number) = id.split_once('-').unwrap_or((id, "0"));
    (time.parse().unwrap_or(0), number.parse().unwrap_or(0))
}

/// Takes changes in, some at a time: requests wait for the same lock.
async fn apply(changes: Vec<Change>, app: &App) {
    let mut changes = changes.into_iter().peekable();
    while changes.peek().is_some() {
        {
            let (now, mut registry) = (now(), app.registry());
            changes.by_ref().take(APPLIED_AT_ONCE).for_each(|change| registry.apply(change, now));
        }
        tokio::task::yield_now().await;
    }
}

/// What stands under a name in Redis.
fn kept(name: &str, value: &[u8]) -> Option<Change> {
    let (kind, key) = name.strip_prefix(PREFIX)?.split_once(':')?;
    match kind {
        // It stands there, so it has not ended; how far it was prolonged only its end in Redis tells.
        "e" => stored_of(value).and_then(|stored| {
            let ends = stored.expires;
            Some(Change::Entry(key_of(key)?, Stored { ends, ..stored }))
        }),
        "f" => Some(Change::Ended(key_of(key)?, floor_of(value)?)),
        "r" => serde_json::from_slice::<SignedRecord>(value).ok().map(Change::Revoked),
        _ => None,
    }
}

/// Has a change stand in Redis for whoever comes later.
fn keep(change: &Change, to: &mut Pipeline) {
    let name = |kind: &str, key: &str| format!("{PREFIX}{kind}:{key}");
    match change {
        Change::Entry(key, stored) => {
            let (key, mut bytes) = (key_text(key), Vec::new());
            put_stored(stored, &mut bytes);
            to.cmd("SET").arg(name("e", &key)).arg(bytes).arg("PXAT").arg(stored.ends.get() / 1_000).ignore();
            to.del(name("f", &key)).ignore();
        }
        Change::Refreshed(key, ends) => {
            to.cmd("PEXPIREAT").arg(name("e", &key_text(key))).arg(ends.get() / 1_000).ignore();
        }
        Change::Gone(key, floor) => {
            let key = key_text(key);
            to.del(name("e", &key)).ignore();
            floor.iter().for_each(|floor| keep_floor(name("f", &key), *floor, to));
        }
        // What stands there of the entry ends by itself, and later if somebody else prolonged it.
        Change::Ended(key, floor) => keep_floor(name("f", &key_text(key)), *floor, to),
        Change::Revoked(record) => {
            let text = serde_json::to_vec(record).unwrap_or_default();
            let until = super::codec::ends_of(record).map_or(0, |ends| ends.get() / 1_000);
            to.cmd("SET").arg(name("r", &record.sig)).arg(text).arg("PXAT").arg(until).ignore();
        }
    }
}

fn keep_floor(name: String, floor: Floor, to: &mut Pipeline) {
    let until = floor.until.get() / 1_000;
    to.cmd("SET").arg(name).arg(&floor_bytes(floor)[..]).arg("PXAT").arg(until).ignore();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_the_stream_are_compared_as_numbers() {
        assert!(is_after("1000-0", "999-7") && is_after("1000-10", "1000-9") && is_after("5-1", "0-0"));
        assert!(!is_after("999-7", "1000-0") && !is_after("1000-9", "1000-9") && !is_after("", "0-0"));
    }
}
