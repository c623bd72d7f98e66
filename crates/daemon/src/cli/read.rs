//! `read`: the readings of a topic, from whichever member publishes it.

use std::time::Duration;

use clap::Args;
use meshline_protocol::{ServiceName, ValueError};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};

use super::client::{Client, in_path};
use super::duration::duration;
use crate::api::CONNECT;
use crate::chunks::MAX_PIECE;
use crate::exit::{Exit, Stop};
use crate::log::escape;
use crate::output::{Unwritten, print_error, print_next, well_if_left};
use crate::topics::KIND;

/// First and longest pause before a lost topic is asked for again.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// A topic that says nothing for so long, not even an empty line, is gone.
const SILENCE: Duration = Duration::from_secs(15);

/// The name of the refusal of whoever has no such topic.
const NOBODY: &str = "no_such_service";

/// A line that is longer is none of a topic.
const MAX_LINE: usize = 16 * 1024;

/// What to read.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// The topic; TOPIC@MEMBER where several members publish it
    topic: String,
    /// Go on with what comes, through loss of the network, until interrupted
    #[arg(long, env = "MESHLINE_FOLLOW", value_parser = clap::builder::FalseyValueParser::new())]
    follow: bool,
    /// Begin with so many readings of those before, as far as they are kept; without it the last
    #[arg(long, value_name = "N", default_value_t = 1, env = "MESHLINE_HISTORY")]
    history: usize,
    /// One reading in this time at most, the newest: 1s, 500ms
    #[arg(long, value_name = "TIME", env = "MESHLINE_EVERY", value_parser = duration)]
    every: Option<Duration>,
}

/// A line of a topic.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    time: u64,
    value: Option<Value>,
    missed: Option<u64>,
    run: Option<String>,
    error: Option<String>,
}

/// How far a follower has come.
struct Following {
    /// Nothing has come yet.
    is_first: bool,
    /// Before it asks again.
    pause: Duration,
    /// The run of the topic that it reads; empty before it was told.
    run: String,
    /// The last reading of that run.
    last: Option<u64>,
}

impl Following {
    fn new() -> Self {
        Self { is_first: true, pause: RETRY_FIRST, run: String::new(), last: None }
    }

    /// Takes in which run it reads from here on; whether that is another one than before, so that nobody knows what was
    /// said in between.
    fn begins_anew(&mut self, run: String) -> bool {
        if run == self.run {
            return false;
        }
        let was_another = !self.run.is_empty();
        (self.run, self.last) = (run, None);
        was_another
    }
}

impl ReadArgs {
    pub(super) fn is_followed(&self) -> bool {
        self.follow
    }

    fn path(&self) -> Result<String, Stop> {
        let (name, at) = match self.topic.split_once('@') {
            Some((name, at)) => (name, format!("@{at}")),
            None => (self.topic.as_str(), String::new()),
        };
        let name = name.strip_prefix("service:").unwrap_or(name);
        let no_name = |error: ValueError| Stop::usage(format!("not a name of a topic: {name:?} ({error})"));
        let name: ServiceName = name.parse().map_err(no_name)?;
        Ok(format!("/api/v1/connect?peer={}", in_path(&format!("service:{name}.{KIND}{at}"))))
    }

    fn ask(&self, following: &Following) -> String {
        let every = self.every.map_or(0, |every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX));
        // Of another run than before it is the newest in any case.
        let history = if following.is_first { self.history } else { 1 };
        let ask = if self.follow {
            json!({
                "follow": true, "history": history, "every_ms": every, "run": following.run, "after": following.last,
            })
        } else {
            json!({"follow": false, "history": history, "every_ms": every})
        };
        format!("{ask}\n")
    }
}

pub(super) async fn run(client: &Client, args: &ReadArgs, json: bool) -> anyhow::Result<()> {
    let mut following = Following::new();
    loop {
        let read = once(client, args, json, &mut following).await;
        if !args.follow {
            return well_if_left(read);
        }
        match read {
            Err(error) if is_final(&error, &following) => return Err(error),
            Err(error) => print_error(&format!("{error:#}; trying again")),
            Ok(()) => {}
        }
        following.is_first = false;
        tokio::time::sleep(following.pause).await;
        following.pause = (following.pause * 2).min(RETRY_LONGEST);
    }
}

/// What is wrong before anything came does not pass by itself; later it may be a restart. Where nothing can be written there
/// is nothing to ask for.
fn is_final(error: &anyhow::Error, following: &Following) -> bool {
    following.is_first || error.is::<Unwritten>()
}

/// Reads until the topic ends or breaks off.
async fn once(client: &Client, args: &ReadArgs, json: bool, following: &mut Following) -> anyhow::Result<()> {
    let opened = client.upgrade(&args.path()?, CONNECT).await.map_err(|error| named(error, &args.topic))?;
    let (mut hearing, mut saying) = split(opened);
    let ask = args.ask(following);
    saying.write_u32(u32::try_from(ask.len()).unwrap_or(0)).await?;
    saying.write_all(ask.as_bytes()).await?;
    saying.flush().await?;
    let (mut piece, mut rest) = (vec![0; MAX_PIECE], Vec::new());
    let broken = |error: std::io::Error| Stop::new(Exit::NoPeer, format!("the topic broke off: {error}"));
    loop {
        let heard = tokio::time::timeout(SILENCE, hearing.read_u32()).await;
        let heard = heard.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let count = usize::try_from(heard.map_err(broken)?).unwrap_or(usize::MAX);
        let Some(piece) = piece.get_mut(..count) else {
            return Err(broken(std::io::ErrorKind::InvalidData.into()).into());
        };
        if count == 0 {
            return Ok(());
        }
        hearing.read_exact(piece).await.map_err(broken)?;
        (following.is_first, following.pause) = (false, RETRY_FIRST);
        rest.extend_from_slice(piece);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if rest.len() - whole > MAX_LINE {
            return Err(Stop::new(Exit::Failed, "what comes is no topic").into());
        }
        let lines: Vec<u8> = rest.drain(..whole).collect();
        for line in String::from_utf8_lossy(&lines).lines().filter(|line| !line.is_empty()) {
            show(line, (&args.topic, json), following)?;
        }
    }
}

/// The service behind a topic is nothing that the user named.
fn named(error: anyhow::Error, topic: &str) -> anyhow::Error {
    match error.downcast_ref::<Stop>() {
        Some(stop) if stop.message.contains(NOBODY) => {
            let why = format!("no member in reach publishes the topic {topic}, or not for this one ({NOBODY})");
            Stop::new(stop.exit, format!("{why}; `services --kind {KIND}` lists those for everybody")).into()
        }
        _ => error,
    }
}

fn show(text: &str, (topic, json): (&str, bool), following: &mut Following) -> anyhow::Result<()> {
    let no_topic = |_| Stop::new(Exit::Failed, "what comes is no topic");
    let line: Line = serde_json::from_str(text).map_err(no_topic)?;
    if let Some(error) = line.error {
        return Err(Stop::new(Exit::Failed, error).into());
    }
    if let Some(run) = line.run {
        if !following.begins_anew(run) {
            return Ok(());
        }
        if json {
            print_next(&json!({"schema": "meshline/reading/1", "topic": topic, "began_anew": true}).to_string())?;
        } else {
            print_error("the topic began anew: what it said meanwhile is not known");
        }
        return Ok(());
    }
    if let Some(missed) = line.missed {
        if json {
            print_next(&json!({"schema": "meshline/reading/1", "topic": topic, "missed": missed}).to_string())?;
        } else {
            print_error(&format!("{missed} readings missed"));
        }
        return Ok(());
    }
    let Some(value) = line.value else { return Ok(()) };
    following.last = Some(line.seq);
    if json {
        let (seq, time) = (line.seq, line.time);
        print_next(
            &json!({"schema": "meshline/reading/1", "topic": topic, "seq": seq, "time": time, "value": value})
                .to_string(),
        )?;
        return Ok(());
    }
    let plain = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    print_next(&escape(&plain))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_asked_for_as_a_service_of_its_kind() {
        let args = |topic: &str| ReadArgs { topic: topic.to_owned(), follow: true, history: 5, every: None };
        let path = "/api/v1/connect?peer=service%3Atemp._meshtopic._tcp";
        assert_eq!(args("temp").path(), Ok(path.to_owned()));
        assert_eq!(args("temp@attic 2").path(), Ok(format!("{path}%40attic%202")));
        for wrong in ["Te mp", "", "@attic", "temp/1"] {
            let stop = args(wrong).path().expect_err("no name");
            assert_eq!(stop.exit, Exit::Usage, "{wrong:?}");
            assert!(stop.message.starts_with("not a name of a topic: "), "{wrong:?}: {stop}");
        }
        let once = ReadArgs { follow: false, ..args("temp") };
        assert_eq!(once.ask(&Following::new()), "{\"every_ms\":0,\"follow\":false,\"history\":5}\n");
    }

    #[test]
    fn a_topic_that_nobody_has_is_called_as_the_user_did() {
        let told = |message: &str| named(Stop::new(Exit::NoPeer, message).into(), "temp@attic").to_string();
        let nobody = told("nobody is called \"service:temp._meshtopic._tcp@attic\" (no_such_service)");
        assert!(nobody.starts_with("no member in reach publishes the topic temp@attic, "), "{nobody}");
        assert_eq!(told("no way (no_route)"), "no way (no_route)");
    }

    #[test]
    fn a_lost_topic_is_asked_for_again_and_a_full_disk_is_the_end() {
        let lost = || anyhow::Error::from(Stop::new(Exit::NoPeer, "the topic broke off"));
        let mut following = Following::new();
        assert!(is_final(&lost(), &following), "nothing has come yet");
        following.is_first = false;
        assert!(!is_final(&lost(), &following));
        for unwritten in [Unwritten::Left, Unwritten::Failed(std::io::ErrorKind::StorageFull.into())] {
            assert!(is_final(&unwritten.into(), &following));
        }
    }

    #[test]
    fn a_follower_says_where_it_was_and_knows_when_the_topic_began_anew() {
        let args = ReadArgs { topic: "temp".to_owned(), follow: true, history: 5, every: None };
        let mut following = Following::new();
        assert!(args.ask(&following).contains("\"run\":\"\""), "asks which run it is");
        for line in [r#"{"run":"a"}"#, r#"{"seq":7,"time":1,"value":2}"#] {
            show(line, ("temp", true), &mut following).expect("a line");
        }
        following.is_first = false;
        let asked = args.ask(&following);
        assert!(asked.contains("\"after\":7") && asked.contains("\"run\":\"a\""), "{asked}");
        assert!(!following.begins_anew("a".to_owned()) && following.last == Some(7));
        assert!(following.begins_anew("b".to_owned()) && following.last.is_none());
    }
}
