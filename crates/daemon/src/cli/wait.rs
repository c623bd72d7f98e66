//! `wait`: until the member is ready, has so many peers, or a path of some kind.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::duration::duration;
use super::peers::Peers;
use crate::exit::{Exit, Stop};
use crate::output::print;

/// Between looks. An answer takes well under a millisecond.
const INTERVAL: Duration = Duration::from_millis(50);

/// What to wait for and how long.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// What: ready, peers=N (links to N members), ring=N (closed with N members), or path=PEER:direct
    #[arg(long = "for", value_name = "WHAT", env = "MESHLINE_FOR", default_value = "ready")]
    what: Goal,
    /// How long at most, such as 500ms, 30s or 2m
    #[arg(long, value_name = "TIME", env = "MESHLINE_TIMEOUT", default_value = "30s", value_parser = duration)]
    timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Goal {
    Ready,
    Peers(usize),
    Ring(usize),
    Direct(String),
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text:?} is none of ready, peers=N, ring=N, path=PEER:direct");
        match text.split_once('=') {
            None if text == "ready" => Ok(Self::Ready),
            Some(("peers", count)) => count.parse().map(Self::Peers).map_err(|_| unknown()),
            Some(("ring", count)) => count.parse().map(Self::Ring).map_err(|_| unknown()),
            Some(("path", path)) => {
                path.strip_suffix(":direct").map(|peer| Self::Direct(peer.to_owned())).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }
}

#[derive(Deserialize)]
struct Status {
    ready: Ready,
    links: Vec<serde::de::IgnoredAny>,
    ring: Option<Ring>,
}

#[derive(Deserialize)]
struct Ring {
    length: usize,
    complete: bool,
}

#[derive(Deserialize)]
struct Ready {
    ready: bool,
    reason: String,
}

pub(super) async fn run(client: &Client, args: &WaitArgs, json: bool) -> anyhow::Result<()> {
    let mut last = look(client, &args.what).await;
    let looking = async {
        while !matches!(last, Ok(Ok(_))) {
            tokio::time::sleep(INTERVAL).await;
            last = look(client, &args.what).await;
        }
    };
    // Whether the time ran out shows in what was seen last.
    let _ = tokio::time::timeout(args.timeout, looking).await;
    match last? {
        Ok(reason) if json => {
            Ok(print(&json!({"schema": "meshline/wait/1", "done": true, "reason": reason}).to_string())?)
        }
        Ok(reason) => Ok(print(&reason)?),
        Err(reason) => Err(Stop::new(Exit::Failed, format!("not within {:?}: {reason}", args.timeout)).into()),
    }
}

/// What is so, or why it is not so yet. A member that does not answer may be about to start.
async fn look(client: &Client, goal: &Goal) -> anyhow::Result<Result<String, String>> {
    Ok(match goal {
        Goal::Ready => {
            let Status { ready, .. } = client.get("/api/v1/status").await?;
            if ready.ready { Ok(format!("ready: {}", ready.reason)) } else { Err(ready.reason) }
        }
        Goal::Peers(wanted) => {
            let links = client.get::<Status>("/api/v1/status").await?.links.len();
            if links >= *wanted {
                Ok(format!("{links} {} linked", if links == 1 { "peer is" } else { "peers are" }))
            } else {
                Err(format!("{links} of {wanted} peers are linked"))
            }
        }
        Goal::Ring(wanted) => match client.get::<Status>("/api/v1/status").await?.ring {
            Some(Ring { length, complete: true }) if length == *wanted => {
                Ok(format!("the ring is closed with {length} members"))
            }
            Some(Ring { length, complete: true }) => {
                Err(format!("the ring is closed with {length} of {wanted} members"))
            }
            Some(_) => Err("the ring is open".to_owned()),
            None => Err("this member is on no ring".to_owned()),
        },
        Goal::Direct(peer) => {
            let Peers { peers } = client.get("/api/v1/peers").await?;
            let found =
                peers.iter().find(|row| row.name == *peer || (peer.len() >= 8 && row.id.starts_with(peer.as_str())));
            match found {
                Some(row) if row.direct => Ok(format!("{peer} is linked directly")),
                Some(_) => Err(format!("{peer} is not linked directly")),
                None => Err(format!("no member is known as {peer}")),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_read() {
        assert_eq!("ready".parse(), Ok(Goal::Ready));
        assert_eq!("peers=4".parse(), Ok(Goal::Peers(4)));
        assert_eq!("ring=5".parse(), Ok(Goal::Ring(5)));
        assert_eq!("path=bobby:direct".parse(), Ok(Goal::Direct("bobby".to_owned())));
        for bad in ["", "peers", "peers=x", "path=bobby", "path=bobby:relay"] {
            assert!(bad.parse::<Goal>().is_err(), "{bad:?}");
        }
    }
}
