//! A topic by flags of `run`, in place of those of the configuration file.
//!
//! Their variables are read where a topic is published and not by the parser of the command line: a variable that another
//! command uses, or that is set for every start, must not ask for a topic, nor forbid a flag.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::duration::seconds;
use crate::exit::Stop;

/// How often a command runs unless it was said.
const EVERY: Duration = Duration::from_secs(10);

/// A day, as in the configuration.
const MAX_EVERY_S: u64 = 86_400;

/// A topic that is published while the member runs.
#[derive(Debug, Default, Args)]
pub(super) struct TopicArgs {
    /// Publish readings under this name: those of --exec, --file or --stdin, one a line, JSON or text [env: MESHLINE_TOPIC]
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// Run this command again and again; each line it prints is a reading [env: MESHLINE_EXEC]
    #[arg(long, value_name = "COMMAND", group = "source")]
    exec: Option<String>,
    /// How often, in whole seconds: 5s, 1m [env: MESHLINE_TOPIC_EVERY]
    #[arg(long, value_name = "TIME", value_parser = whole_seconds)]
    every: Option<Duration>,
    /// Follow this file or pipe [env: MESHLINE_FILE]
    #[arg(long, value_name = "FILE", group = "source")]
    file: Option<PathBuf>,
    /// Read standard input [env: MESHLINE_STDIN]
    #[arg(long, group = "source")]
    stdin: bool,
    /// Readings before the last that may be asked for [env: MESHLINE_TOPIC_HISTORY]
    #[arg(long, value_name = "N")]
    history: Option<u32>,
    /// Who may read it, with commas between [default: *] [env: MESHLINE_READERS]
    #[arg(long, value_name = "WHO", value_delimiter = ',')]
    readers: Vec<String>,
}

/// Where readings come from.
enum Source {
    Exec(String),
    File(PathBuf),
    Stdin,
}

impl TopicArgs {
    /// As an entry of `topics`; `variable` reads one that is set and not empty. A flag wins over its variable, and a source
    /// over the variables of all sources.
    ///
    /// # Errors
    /// If flags lack a topic or a topic a source, or a variable is no value.
    pub(super) fn entry(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Value>, Stop> {
        let Some(name) = self.topic.clone().or_else(|| variable("MESHLINE_TOPIC")) else {
            return self.without_topic().map_or(Ok(None), |flag| {
                Err(Stop::usage(format!("{flag} is of a topic: say under which name with --topic NAME")))
            });
        };
        let history = match (self.history, variable("MESHLINE_TOPIC_HISTORY")) {
            (Some(history), _) => history,
            (None, None) => 0,
            (None, Some(text)) => text.parse().map_err(|error| wrong("MESHLINE_TOPIC_HISTORY", &text, &error))?,
        };
        let readers = match variable("MESHLINE_READERS").filter(|_| self.readers.is_empty()) {
            Some(text) => text.split(',').map(ToOwned::to_owned).collect(),
            None if self.readers.is_empty() => vec!["*".to_owned()],
            None => self.readers.clone(),
        };
        let mut entry = json!({"name": name, "allow": readers, "history": history});
        let Some(members) = entry.as_object_mut() else { return Ok(None) };
        let nowhere = || format!("where do the readings of {name} come from? Say --exec, --file or --stdin");
        let source = self.source(&variable).ok_or_else(|| Stop::usage(nowhere()))?;
        match source {
            Source::Exec(command) => {
                members.insert("every_s".to_owned(), json!(self.every(&variable)?.as_secs()));
                members.insert("exec".to_owned(), json!(command));
            }
            Source::File(_) | Source::Stdin if self.every.is_some() => {
                return Err(Stop::usage("--every is how often a command runs: it goes with --exec"));
            }
            Source::File(file) => drop(members.insert("file".to_owned(), json!(file))),
            Source::Stdin => drop(members.insert("stdin".to_owned(), json!(true))),
        }
        Ok(Some(entry))
    }

    /// A flag that means nothing without a topic.
    fn without_topic(&self) -> Option<&'static str> {
        let given = [
            (self.exec.is_some(), "--exec"),
            (self.file.is_some(), "--file"),
            (self.stdin, "--stdin"),
            (self.every.is_some(), "--every"),
            (self.history.is_some(), "--history"),
            (!self.readers.is_empty(), "--readers"),
        ];
        given.into_iter().find_map(|(is_given, flag)| is_given.then_some(flag))
    }

    fn source(&self, variable: impl Fn(&str) -> Option<String>) -> Option<Source> {
        let exec = self.exec.clone().map(Source::Exec);
        let flag = exec.or_else(|| self.file.clone().map(Source::File)).or_else(|| self.stdin.then_some(Source::Stdin));
        let exec = || variable("MESHLINE_EXEC").map(Source::Exec);
        let file = || variable("MESHLINE_FILE").map(|file| Source::File(file.into()));
        let is_no = |text: &String| ["0", "n", "no", "f", "false", "off"].contains(&text.to_lowercase().as_str());
        let stdin = || variable("MESHLINE_STDIN").filter(|text| !is_no(text)).map(|_| Source::Stdin);
        flag.or_else(exec).or_else(file).or_else(stdin)
    }

    fn every(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Duration, Stop> {
        let Some(text) = variable("MESHLINE_TOPIC_EVERY").filter(|_| self.every.is_none()) else {
            return Ok(self.every.unwrap_or(EVERY));
        };
        whole_seconds(&text).map_err(|error| wrong("MESHLINE_TOPIC_EVERY", &text, &error))
    }
}

fn wrong(name: &str, text: &str, error: &dyn std::fmt::Display) -> Stop {
    Stop::usage(format!("{name}={text}: {error}"))
}

/// What the configuration has: a command is no way to measure more often.
fn whole_seconds(text: &str) -> Result<Duration, String> {
    seconds::<MAX_EVERY_S>(text).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(args: &TopicArgs, set: &[(&str, &str)]) -> Result<Option<Value>, String> {
        let variable = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        args.entry(variable).map_err(|stop| stop.message)
    }

    fn exec(topic: Option<&str>) -> TopicArgs {
        TopicArgs { topic: topic.map(ToOwned::to_owned), exec: Some("date".to_owned()), ..TopicArgs::default() }
    }

    #[test]
    fn variables_of_other_commands_ask_for_no_topic_and_forbid_no_flag() {
        let shared = [("MESHLINE_HISTORY", "5"), ("MESHLINE_EVERY", "10s")];
        let own = [("MESHLINE_TOPIC_HISTORY", "5"), ("MESHLINE_TOPIC_EVERY", "1m"), ("MESHLINE_FILE", "/x")];
        for set in [&shared[..], &own[..]] {
            assert_eq!(entry(&TopicArgs::default(), set), Ok(None));
        }
        let found = entry(&exec(Some("temp")), &shared);
        assert_eq!(
            found,
            Ok(Some(json!({"name": "temp", "allow": ["*"], "history": 0, "every_s": 10, "exec": "date"})))
        );
        let found = entry(&exec(Some("temp")), &own);
        assert_eq!(
            found,
            Ok(Some(json!({"name": "temp", "allow": ["*"], "history": 5, "every_s": 60, "exec": "date"})))
        );
        let set = [("MESHLINE_TOPIC", "door"), ("MESHLINE_FILE", "/x"), ("MESHLINE_READERS", "bobby,role:view")];
        let wanted = json!({"name": "door", "allow": ["bobby", "role:view"], "history": 0, "file": "/x"});
        assert_eq!(entry(&TopicArgs::default(), &set), Ok(Some(wanted)));
        let set = [("MESHLINE_TOPIC", "door"), ("MESHLINE_STDIN", "true")];
        let wanted = json!({"name": "door", "allow": ["*"], "history": 0, "stdin": true});
        assert_eq!(entry(&TopicArgs::default(), &set), Ok(Some(wanted)));
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        assert!(entry(&exec(None), &[]).is_err_and(|said| said.contains("--topic")));
        let bare = || TopicArgs { topic: Some("temp".to_owned()), ..TopicArgs::default() };
        assert!(
            entry(&bare(), &[("MESHLINE_STDIN", "0")]).is_err_and(|said| said.contains("--exec, --file or --stdin"))
        );
        let every = TopicArgs { stdin: true, every: Some(EVERY), ..bare() };
        assert!(entry(&every, &[]).is_err_and(|said| said.contains("--exec")));
        for (name, value) in [("MESHLINE_TOPIC_HISTORY", "many"), ("MESHLINE_TOPIC_EVERY", "500ms")] {
            assert!(entry(&exec(Some("temp")), &[(name, value)]).is_err_and(|said| said.contains(name)));
        }
    }

    #[test]
    fn a_command_runs_every_so_many_whole_seconds() {
        for (text, seconds) in [("1s", Some(1)), ("1m", Some(60)), ("2000ms", Some(2)), ("7", Some(7))] {
            assert_eq!(whole_seconds(text).ok().map(|time| time.as_secs()), seconds, "{text}");
        }
        for text in ["500ms", "1500ms", "0s", "1.5s", "-1s"] {
            assert!(whole_seconds(text).is_err(), "{text}");
        }
    }
}
