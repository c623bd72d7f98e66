//! `tap`: the frames on the member's own links, one JSON document a line.

use clap::Args;
use serde_json::json;

use super::client::{Client, in_path};
use crate::output::{print_error, print_next};

/// Which frames, and how much of them.
#[derive(Debug, Args)]
pub struct TapArgs {
    /// Only frames on links with this member: name, id, or the first 8 or more characters of the id
    #[arg(long, value_name = "PEER", env = "MESHLINE_PEER")]
    peer: Option<String>,
    /// Only messages of this type, such as routing, or of one of its kinds, such as routing.ack
    #[arg(long = "type", value_name = "TYPE", env = "MESHLINE_TYPE")]
    kind: Option<String>,
    /// Show the beginning of each body too
    #[arg(long, env = "MESHLINE_BODIES", value_parser = clap::builder::FalseyValueParser::new())]
    bodies: bool,
    /// End after so many frames
    #[arg(long, value_name = "N", env = "MESHLINE_COUNT")]
    count: Option<usize>,
}

impl TapArgs {
    fn path(&self) -> String {
        let peer = self.peer.as_ref().map(|peer| format!("peer={}", in_path(peer)));
        let kind = self.kind.as_ref().map(|kind| format!("type={}", in_path(kind)));
        let bodies = self.bodies.then(|| "bodies=true".to_owned());
        let words: Vec<String> = peer.into_iter().chain(kind).chain(bodies).collect();
        format!("/api/v1/tap?{}", words.join("&"))
    }
}

pub(super) async fn run(client: &Client, args: &TapArgs, json: bool) -> anyhow::Result<()> {
    let mut frames = client.stream(&args.path()).await?;
    let mut left = args.count.unwrap_or(usize::MAX);
    while left > 0 {
        let event = client.next(&mut frames).await?;
        match event.name.as_str() {
            "frame" => {
                left -= 1;
                print_next(&event.data)?;
            }
            "lagged" if json => print_next(&json!({"lagged": event.data}).to_string())?,
            "lagged" => print_error(&format!("too fast for this terminal: {}", event.data)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::TapArgs;

    #[test]
    fn what_is_wanted_stands_in_the_path() {
        let path = |peer: Option<&str>, kind: Option<&str>, bodies| {
            let owned = |word: Option<&str>| word.map(ToOwned::to_owned);
            TapArgs { peer: owned(peer), kind: owned(kind), bodies, count: None }.path()
        };
        assert_eq!(path(None, None, false), "/api/v1/tap?");
        assert_eq!(path(Some("a&b"), Some("routing.ack"), true), "/api/v1/tap?peer=a%26b&type=routing.ack&bodies=true");
    }
}
