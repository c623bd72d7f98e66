//! Topics: readings of this member for whoever asks for them.
//!
//! A topic is a service of kind [`KIND`]: the directory tells of it, the rules of `expose` say who may read, and readers
//! reach it through tunnels. So nobody is sent readings who did not ask, and each has its own place in the queue.

mod readers;
mod serve;
mod source;
mod topic;

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use meshline_gateway::{Directory, Expose, Refusal};
use meshline_protocol::{Code, ServiceName, ServiceText, Target};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::config::TopicConfig;
use crate::gateway::{Held, LocalGateway};
use topic::Topic;

/// The kind under which topics stand in the directory.
pub(crate) const KIND: &str = "_meshtopic._tcp";

/// How often the directory is told the last reading, if there is a new one: it is for a look, not for following.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Under this key, if it is short enough.
const LAST: &str = "last";

/// The topics of a running member. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Topics {
    topics: Vec<Arc<Topic>>,
    tasks: Vec<JoinHandle<()>>,
    paths: Vec<PathBuf>,
    /// Held so that the short names of the sockets stay valid.
    folder: Option<std::fs::File>,
}

/// A topic in figures.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TopicRow {
    /// Its name.
    pub(crate) name: String,
    /// Readings since the start.
    pub(crate) readings: u64,
    /// Readings that were too long.
    pub(crate) refused: u64,
    /// Readings that slow readers missed, all together.
    pub(crate) missed: u64,
    /// Readers at the moment.
    pub(crate) readers: u64,
}

impl Topics {
    /// Begins to read what is configured, and to serve it.
    pub(crate) async fn start(configs: &[TopicConfig], data_dir: &Path, gateway: &LocalGateway) -> Self {
        let mut topics = Self { topics: Vec::new(), tasks: Vec::new(), paths: Vec::new(), folder: None };
        if configs.is_empty() {
            return topics;
        }
        // A path may be longer than the name of a socket: the folder's descriptor makes it short.
        topics.folder = std::fs::File::open(data_dir).ok();
        for config in configs {
            let name = socket_name(&config.name);
            let place = topics.short().unwrap_or_else(|| data_dir.to_path_buf()).join(&name);
            match topics.begin(config, &place, gateway).await {
                Ok(()) => topics.paths.push(data_dir.join(name)),
                Err(Refusal { code, detail }) => {
                    let code = code.name();
                    tracing::warn!(target: "meshline", code, detail, "topic {} cannot begin: {detail}", config.name);
                }
            }
        }
        topics
    }

    /// Has it told whom nobody knows of those who may read.
    pub(crate) fn judge_readers(&mut self, configs: &[TopicConfig], directory: Arc<dyn Directory>) {
        if configs.is_empty() {
            return;
        }
        self.tasks.push(tokio::spawn(readers::tell_unknown(configs.to_vec(), directory)));
    }

    async fn begin(&mut self, config: &TopicConfig, place: &Path, gateway: &LocalGateway) -> Result<(), Refusal> {
        let refuse = |detail: String| Refusal { code: Code::StorageFailed, detail };
        let listener = serve::listen(place).map_err(|error| refuse(format!("{}: {error}", place.display())))?;
        let target = Target::Unix(place.to_string_lossy().into());
        // What only some may read the directory does not tell of, or everybody would have its last reading.
        let kind = KIND.parse().ok();
        let expose = Expose { kind, ..Expose::new(config.name.clone(), target, config.allow.clone()) };
        let held = gateway.hold(expose).await?;
        let topic = Arc::new(Topic::new(config.name.clone(), run_name()?));
        let history = usize::try_from(config.history).unwrap_or(usize::MAX);
        self.tasks.push(tokio::spawn(serve::serve(listener, Arc::clone(&topic), history)));
        self.tasks.push(tokio::spawn(tell(held, Arc::clone(&topic))));
        if let Some(command) = &config.exec {
            let every = Duration::from_secs(u64::from(config.every_s.max(1)));
            self.tasks.push(tokio::spawn(source::run(command.clone(), every, Arc::clone(&topic))));
        } else if let Some(path) = &config.file {
            source::file(path.clone(), &topic);
        } else if config.stdin {
            source::stdin(&topic);
        }
        self.topics.push(topic);
        Ok(())
    }

    fn short(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())))
    }

    /// Where a topic listens, for readers on this host.
    pub(crate) fn place(&self, name: &ServiceName) -> Option<PathBuf> {
        let path = self.paths.iter().find(|path| path.ends_with(socket_name(name)))?;
        Some(self.short().map_or_else(|| path.clone(), |folder| folder.join(socket_name(name))))
    }

    pub(crate) fn rows(&self) -> Vec<TopicRow> {
        let row = |topic: &Arc<Topic>| TopicRow {
            name: topic.name.to_string(),
            readings: topic.count(),
            refused: topic.counts.refused.load(Ordering::Relaxed),
            missed: topic.counts.missed.load(Ordering::Relaxed),
            readers: topic.counts.readers.load(Ordering::Relaxed),
        };
        self.topics.iter().map(row).collect()
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        for path in &self.paths {
            // If it is gone already, so much the better.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn socket_name(topic: &ServiceName) -> String {
    format!("topic-{topic}.sock")
}

/// A name for this run of a topic. By chance: whoever knows it has read the topic since it began.
fn run_name() -> Result<String, Refusal> {
    let refuse = |error: crate::files::FileError| Refusal { code: Code::StorageFailed, detail: error.to_string() };
    let bytes = crate::files::random_bytes().map_err(refuse)?;
    Ok(data_encoding::HEXLOWER.encode(bytes.split_at(8).0))
}

/// Has the directory tell the last reading, now and then, for as long as the topic is held.
async fn tell(held: Held, topic: Arc<Topic>) {
    let mut seen = 0;
    loop {
        topic.wait(seen).await;
        seen = topic.count();
        held.say(text_of(&topic.last().unwrap_or_default()));
        sleep(TELL_EVERY).await;
    }
}

/// The last reading as the directory has it; nothing if it does not fit there.
fn text_of(line: &str) -> ServiceText {
    let value =
        serde_json::from_str::<serde_json::Value>(line).ok().and_then(|mut line| Some(line.get_mut("value")?.take()));
    let value = value.map(|value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned));
    value.and_then(|value| ServiceText::new([(LAST.to_owned(), value)]).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn the_directory_has_short_readings_and_of_long_ones_nothing() {
        let last = |line: &str| text_of(line).get("last").map(ToOwned::to_owned);
        assert_eq!(last(r#"{"seq":1,"time":2,"value":21.5}"#).as_deref(), Some("21.5"));
        assert_eq!(last(r#"{"seq":1,"time":2,"value":"warm"}"#).as_deref(), Some("warm"));
        assert_eq!(last(&format!(r#"{{"value":"{}"}}"#, "x".repeat(129))), None);
        assert_eq!(last(r#"{"value":"\u0007"}"#), None);
        assert_eq!(last(""), None);
    }
}
