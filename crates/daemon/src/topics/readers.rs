//! Readers of topics whom nobody knows: most likely their names are mistyped, and then nobody ever reads.

use std::sync::Arc;
use std::time::Duration;

use meshline_gateway::{Allow, Directory, Member};
use meshline_protocol::{Name, ServiceName};
use tokio::time::sleep;

use crate::config::TopicConfig;

/// How long the others may take to tell of each other: whoever was named and is just not known yet is no mistake. They do so
/// within a few seconds of the first link.
const ACQUAINTED: Duration = Duration::from_secs(10);

/// Warns once of each name that no member has, when some members are known.
pub(super) async fn tell_unknown(topics: Vec<TopicConfig>, directory: Arc<dyn Directory>) {
    loop {
        sleep(ACQUAINTED).await;
        let members = directory.members();
        if !members.is_empty() {
            for (topic, name) in unknown(&topics, &members) {
                tracing::warn!(target: "meshline", "topic {topic}: nobody known here is called {name}: until somebody is, that entry of its readers allows nobody");
            }
            return;
        }
    }
}

fn unknown<'a>(topics: &'a [TopicConfig], members: &[Member]) -> Vec<(&'a ServiceName, &'a Name)> {
    let is_known = |name: &Name| members.iter().any(|member| member.name == name.as_str());
    let names = topics.iter().flat_map(|topic| topic.allow.iter().map(move |entry| (&topic.name, entry)));
    let names =
        names.filter_map(|(topic, entry)| if let Allow::Name(name) = entry { Some((topic, name)) } else { None });
    names.filter(|(_, name)| !is_known(name)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use meshline_protocol::NodeId;
    use serde_json::json;
    use tracing::Level;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::config::LogLevel;
    use crate::log::Tail;

    /// Donald, whom nobody knows at the first looks.
    struct Late {
        looks: AtomicUsize,
    }

    impl Directory for Late {
        fn members(&self) -> Vec<Member> {
            if self.looks.fetch_add(1, Ordering::Relaxed) < 2 {
                return Vec::new();
            }
            let (id, name) = (NodeId::from_bytes([1; 32]), "donald".to_owned());
            vec![Member { id, name, is_name_proved: true, roles: Vec::new(), cost_us: None }]
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_whom_nobody_knows_is_warned_of_once_and_not_before_somebody_is_known() {
        let (tail, kept) = Tail::new(&LogLevel::try_from("info".to_owned()).expect("a level"));
        let _guard = tracing::subscriber::set_default(Registry::default().with(vec![kept]));
        let id = NodeId::from_bytes([9; 32]);
        let topics = json!([
            {"name": "temp", "allow": ["donald", "dnald", "role:view", "*", id], "stdin": true},
            {"name": "door", "allow": ["donald"], "file": "/run/door"},
        ]);
        let topics = serde_json::from_value(topics).expect("topics");
        let directory = Arc::new(Late { looks: AtomicUsize::new(0) });
        tell_unknown(topics, Arc::<Late>::clone(&directory)).await;
        assert_eq!(directory.looks.load(Ordering::Relaxed), 3);
        let lines = tail.last(10, Level::INFO);
        let lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line.data())).collect();
        let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
        assert!(
            line.contains("topic temp: nobody known here is called dnald: ") && line.contains("\"warn\""),
            "{line}"
        );
    }
}
