//! Where readings come from: a command that is run again and again, a file that grows, or standard input.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncReadExt, copy, sink};
use tokio::process::{ChildStderr, Command};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::topic::{MAX_READING, Topic};
use crate::config::now;

/// What a command may say in one run.
const MAX_OUTPUT: u64 = 64 * 1024;

/// What is told of its standard error.
const MAX_COMPLAINT: u64 = 1_024;

/// What a command left running may keep its standard error open; it is not waited for longer.
const COMPLAINT_LIMIT: Duration = Duration::from_secs(1);

/// A command that runs longer is ended.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// How often a file is looked at that has come to its end, or is not there.
const FILE_PAUSE: Duration = Duration::from_millis(200);

/// Runs a command again and again; each line it prints is a reading. One that takes longer than the pause is not run
/// twice at once.
pub(super) async fn run(command: String, every: Duration, topic: Arc<Topic>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match timeout(RUN_LIMIT, output(&command)).await {
            Ok(Ok(said)) => said.publish(&topic),
            Ok(Err(error)) => {
                tracing::warn!(target: "meshline", %error, "the command of topic {} cannot be run", topic.name);
            }
            Err(_) => tracing::warn!(target: "meshline", "the command of topic {} took too long", topic.name),
        }
    }
}

/// What a command said in one run, and how it ended.
struct Said {
    text: String,
    complaint: String,
    status: ExitStatus,
}

impl Said {
    /// A command that fails may have read the one sensor and not the other: what it said is published all the same.
    fn publish(&self, topic: &Topic) {
        self.text.lines().for_each(|line| topic.push(line, now()));
        let (name, complaint) = (&topic.name, self.complaint.trim());
        let gap = if complaint.is_empty() { "" } else { ": " };
        if !self.status.success() {
            let lines = self.text.lines().count();
            let status = self.status;
            tracing::warn!(target: "meshline", "the command of topic {name} ended with {status} after {lines} lines{gap}{complaint}");
        } else if !complaint.is_empty() {
            tracing::info!(target: "meshline", "the command of topic {name} says: {complaint}");
        }
    }
}

async fn output(command: &str) -> std::io::Result<Said> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let complaint = child.stderr.take().map(|stream| tokio::spawn(complaint(stream)));
    let mut said = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(MAX_OUTPUT).read_to_end(&mut said).await?;
    }
    let status = child.wait().await?;
    let complaint = match complaint {
        Some(task) => timeout(COMPLAINT_LIMIT, task).await.ok().and_then(Result::ok).unwrap_or_default(),
        None => String::new(),
    };
    Ok(Said { text: String::from_utf8_lossy(&said).into_owned(), complaint, status })
}

/// The beginning of what comes on standard error. The rest is read, too: whoever writes there is not to fail by it.
async fn complaint(mut stream: ChildStderr) -> String {
    let mut begin = Vec::new();
    // What was read until it failed is all there is to tell.
    let _ = (&mut stream).take(MAX_COMPLAINT).read_to_end(&mut begin).await;
    let _ = copy(&mut stream, &mut sink()).await;
    String::from_utf8_lossy(&begin).into_owned()
}

/// Reads the lines of standard input until its end.
pub(super) fn stdin(topic: &Arc<Topic>) {
    let topic = Arc::downgrade(topic);
    std::thread::spawn(move || publish_all(BufReader::new(std::io::stdin().lock()), &topic));
}

/// Publishes line after line until the end, which it tells: readers cannot see that no other value will come.
fn publish_all(mut input: impl BufRead, topic: &Weak<Topic>) {
    loop {
        let read = line(&mut input);
        let Some(topic) = topic.upgrade() else { return };
        let name = &topic.name;
        match read {
            Ok(Some(line)) => topic.push(&line, now()),
            Ok(None) => {
                tracing::info!(target: "meshline", "the input of topic {name} ended; its last value stays");
                return;
            }
            Err(error) => {
                tracing::warn!(target: "meshline", %error, "the input of topic {name} cannot be read; its last value stays");
                return;
            }
        }
    }
}

/// Follows a file: what is in it, and what is added. One that is replaced or cut is read from its beginning.
pub(super) fn file(path: PathBuf, topic: &Arc<Topic>) {
    let topic = Arc::downgrade(topic);
    std::thread::spawn(move || {
        while topic.strong_count() > 0 {
            // It may come later.
            let _ = follow(&path, &topic);
            std::thread::park_timeout(FILE_PAUSE);
        }
    });
}

fn follow(path: &Path, topic: &Weak<Topic>) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let mut file = BufReader::new(std::fs::File::open(path)?);
    let number = file.get_ref().metadata()?.ino();
    loop {
        if let Some(line) = line(&mut file)? {
            let Some(topic) = topic.upgrade() else { return Ok(()) };
            let back = i64::try_from(line.len()).unwrap_or(0);
            // Half a line waits for its rest, where it can be read again.
            if line.ends_with('\n') || line.len() > MAX_READING || file.seek_relative(-back).is_err() {
                topic.push(&line, now());
                continue;
            }
        }
        if topic.strong_count() == 0 || std::fs::metadata(path)?.ino() != number {
            return Ok(());
        }
        // A pipe has no place.
        let length = file.get_ref().metadata()?.len();
        if file.stream_position().is_ok_and(|place| place > length) {
            file.seek(SeekFrom::Start(0))?;
        }
        std::thread::park_timeout(FILE_PAUSE);
    }
}

/// The next line, the beginning of a longer one, or `None` at the end.
fn line(input: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let most = u64::try_from(MAX_READING).unwrap_or(u64::MAX) + 2;
    input.by_ref().take(most).read_until(b'\n', &mut line)?;
    if line.len() as u64 == most && line.last() != Some(&b'\n') {
        // The rest of it is passed over; what is kept is too long, and counted as that.
        skip(input)?;
    }
    Ok((!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned()))
}

fn skip(input: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let found = input.fill_buf()?;
        if found.is_empty() {
            return Ok(());
        }
        let end = found.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(found.len(), |end| end + 1);
        input.consume(count);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::config::LogLevel;
    use crate::log::Tail;

    #[tokio::test]
    async fn what_a_command_said_before_it_failed_is_published_and_what_it_complained_of_is_kept() {
        let long = format!("head -c {} /dev/zero >&2; echo 2", 100 * MAX_COMPLAINT);
        let said = output(&format!("echo 21.5; echo no sensor >&2; {long}; exit 3")).await.expect("it runs");
        assert_eq!((said.text.as_str(), said.status.code()), ("21.5\n2\n", Some(3)));
        assert!(said.complaint.starts_with("no sensor\n"), "{:?}", said.complaint);
        assert_eq!(said.complaint.len() as u64, MAX_COMPLAINT);
        let topic = Topic::new("temp".parse().expect("a name"), "one".to_owned());
        said.publish(&topic);
        assert_eq!(topic.count(), 2);
    }

    #[test]
    fn the_end_of_the_input_is_told_once_and_the_last_value_stays() {
        let (tail, kept) = Tail::new(&LogLevel::try_from("info".to_owned()).expect("a level"));
        let topic = Arc::new(Topic::new("temp".parse().expect("a name"), "one".to_owned()));
        tracing::subscriber::with_default(Registry::default().with(vec![kept]), || {
            publish_all("21.5\n22\n".as_bytes(), &Arc::downgrade(&topic));
        });
        let told: Vec<String> =
            tail.last(10, Level::INFO).iter().map(|line| String::from_utf8_lossy(line.data()).into_owned()).collect();
        let [told] = told.as_slice() else { panic!("one line: {told:?}") };
        assert!(told.contains("the input of topic temp ended; its last value stays"), "{told}");
        assert!(told.contains("\"info\""), "{told}");
        assert!(topic.last().expect("a value").contains("22"));
    }

    #[test]
    fn lines_are_read_one_by_one_and_a_long_one_is_passed_over() {
        let long = "x".repeat(3 * MAX_READING);
        let text = format!("1\n{long}\n2\n3");
        let mut input = BufReader::with_capacity(100, text.as_bytes());
        let mut lengths = Vec::new();
        while let Some(line) = line(&mut input).expect("readable") {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [2, MAX_READING + 2, 2, 1]);
    }
}
